// Loads a keyring, works with it, releases it, and lets a test look at the memory in between.
//
// Standard input: a line with the key setting, a line with the previous key's, a line with an envelope.
// Standard output: `loaded` while the keys are in use, `released` when they are not; each waits for a line.
import Envelope
import Glibc

/// Reads one line without stdio, whose buffers nobody wipes.
func readLineOfBytes() -> [UInt8] {
    var line: [UInt8] = []
    line.reserveCapacity(8_192)
    var byte: UInt8 = 0
    while read(STDIN_FILENO, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
    return line
}

func wipe(_ bytes: inout [UInt8]) {
    bytes.withUnsafeMutableBytes { buffer in
        if let start = buffer.baseAddress { explicit_bzero(start, buffer.count) }
    }
}

func say(_ text: String) {
    _ = (text + "\n").utf8CString.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count - 1) }
}

/// Everything that a worker does with keys, ended before it returns.
func useKeys() throws {
    var primary = readLineOfBytes()
    var previous = readLineOfBytes()
    let envelope = readLineOfBytes()
    let keyring = try primary.withUnsafeBytes { primary in
        try previous.withUnsafeBytes { try Keyring(primarySetting: primary, previousSetting: $0) }
    }
    wipe(&primary)
    wipe(&previous)
    let cipher = try EnvelopeCipher(keyring: keyring)
    for _ in 0..<100 {
        var output: [UInt8] = []
        _ = try envelope.withUnsafeBytes { try cipher.rewrap($0, appendingTo: &output) }
        output.removeAll()
        _ = try envelope.withUnsafeBytes { try cipher.reencrypt($0, appendingTo: &output) }
        _ = try envelope.withUnsafeBytes { try cipher.authenticate($0) }
    }
    say("loaded \(keyring.ids.count)")
    _ = readLineOfBytes()
}

precondition(SecretMemory.takeOverOpenSSL(), "OpenSSL was in use already")
try useKeys()
say("released")
_ = readLineOfBytes()
