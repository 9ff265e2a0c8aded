// Feeds arbitrary bytes to the parser and the rewrap, and holds them to what must be true of every input:
// a second, simple reader agrees on what is an envelope; what was found lies within the value; a rewrap changes two
// values and no other byte; what fails leaves the output alone. Built by scripts/fuzz together with the module.
import Glibc

private func demand(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("\(what)") }
}

/// The keys that the corpus is under, and a fixed target.
nonisolated(unsafe) private let cipher: EnvelopeCipher = {
    do {
        return try EnvelopeCipher(
            keyring: Keyring(
                primarySetting: "target:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                previousSetting: """
                    kek-v1:gMUcpUd7OGWrbsKFRXCN+KAF3hM7Ulma46NsOMMGXeM=,\
                    kek-v2:+xYT5hqlNbDT60ZDH1emAdXjwrq0tHiQcruaRWqjYD8=,\
                    kek-v3:21lKrnt1MRbldeMi9PDB3ehG6b16kK+W1B+gXvUW6Qg=
                    """))
    } catch {
        fatalError("no cipher: \(error)")
    }
}()

/// Leaves the cryptography out: several times as many inputs a second for the part that reads foreign bytes.
private let parserOnly = getenv("REENCRYPT_FUZZ_PARSER_ONLY") != nil

nonisolated(unsafe) private var output: [UInt8] = []
nonisolated(unsafe) private var plaintext: [UInt8] = []
nonisolated(unsafe) private var reopened: [UInt8] = []

/// One input of libFuzzer; 0 says that it may enter the corpus.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let value = UnsafeRawBufferPointer(start: start, count: count)
    let parsed: ParsedEnvelope
    do {
        parsed = try ParsedEnvelope(parsing: value)
    } catch {
        demand(!ReferenceReader.isEnvelope(value), "refused, but the reference reader accepts it")
        demand(
            error.category != .authentication && error.category != .internal,
            "a parser's error of another class")
        return 0
    }
    demand(ReferenceReader.isEnvelope(value), "accepted, but the reference reader refuses it")
    checkShape(parsed, of: value)
    if !parserOnly { checkRewrite(value, parsed) }
    return 0
}

private func checkShape(_ parsed: ParsedEnvelope, of value: UnsafeRawBufferPointer) {
    let tokens = [parsed.keyIDToken, parsed.wrappedDEK, parsed.nonce, parsed.ciphertext]
        .sorted { $0.lowerBound < $1.lowerBound }
    var end = 0
    for token in tokens {
        demand(token.lowerBound > end && token.upperBound >= token.lowerBound, "tokens overlap")
        demand(token.upperBound < value.count, "a token ends outside")
        demand(value[token.lowerBound - 1] == UInt8(ascii: "\""), "no quote before a token")
        demand(value[token.upperBound] == UInt8(ascii: "\""), "no quote behind a token")
        end = token.upperBound
    }
    for (token, size) in [
        (parsed.wrappedDEK, 60), (parsed.nonce, 12), (parsed.ciphertext, parsed.ciphertextCount),
    ] {
        demand(
            Base64.decodedCount(of: cipher.text(of: token, in: value)) == size,
            "a token decodes to another size")
    }
    guard let id = try? parsed.keyID else { fatalError("accepted without a key id") }
    demand(parsed.hasKeyID(KeyIDBytes(id)), "a key id is not itself")
}

private func checkRewrite(_ value: UnsafeRawBufferPointer, _ parsed: ParsedEnvelope) {
    let marker: [UInt8] = [1, 2, 3]
    let opens = (try? cipher.open(value, into: &plaintext)) != nil
    output = marker
    do {
        guard try cipher.rewrap(value, appendingTo: &output) == .rewritten else {
            demand(output == marker, "current, but something was appended")
            return
        }
        output.removeFirst(marker.count)
        output.withUnsafeBytes { rewritten in
            checkRewritten(
                rewritten, from: value, changed: [parsed.keyIDToken, parsed.wrappedDEK], lengths: [6, 80])
            demand(
                ((try? cipher.open(rewritten, into: &reopened)) != nil) == opens, "a rewrap opens otherwise")
        }
        demand(!opens || reopened == plaintext, "a rewrap opens to another plaintext")
    } catch {
        demand(output == marker, "a failed rewrap left something behind")
        demand(!opens, "opens, but cannot be rewrapped")
        demand(error.code != .verificationFailed, "a rewrap did not verify")
    }
    output = marker
    do {
        demand(try cipher.reencrypt(value, appendingTo: &output) == .rewritten, "re-encryption says current")
        output.removeFirst(marker.count)
        output.withUnsafeBytes { rewritten in
            checkRewritten(
                rewritten, from: value,
                changed: [parsed.keyIDToken, parsed.wrappedDEK, parsed.nonce, parsed.ciphertext],
                lengths: [6, 80, 16, Base64.encodedCount(parsed.ciphertextCount)])
            demand(
                (try? cipher.open(rewritten, into: &reopened)) != nil, "a re-encrypted value does not open")
        }
        demand(opens && reopened == plaintext, "re-encryption changed the plaintext")
    } catch {
        demand(output == marker, "a failed re-encryption left something behind")
        demand(!opens, "opens, but cannot be re-encrypted")
        demand(error.code != .verificationFailed, "a re-encryption did not verify")
    }
}

/// Walks both values at once: outside of the changed strings each byte is the same.
private func checkRewritten(
    _ rewritten: UnsafeRawBufferPointer, from value: UnsafeRawBufferPointer, changed: [JSONStringToken],
    lengths: [Int]
) {
    var (old, new) = (0, 0)
    for (token, length) in zip(changed, lengths).sorted(by: { $0.0.lowerBound < $1.0.lowerBound }) {
        let run = token.lowerBound - old
        demand(new + run + length <= rewritten.count, "too short")
        demand(value[old..<(old + run)].elementsEqual(rewritten[new..<(new + run)]), "another byte changed")
        old = token.upperBound
        new += run + length
    }
    demand(value[old...].elementsEqual(rewritten[new...]), "another byte changed at the end")
    demand(ReferenceReader.isEnvelope(rewritten), "a rewritten value is no envelope to the reference reader")
    demand((try? cipher.examine(rewritten)) == .current, "a rewritten value is not current")
}
