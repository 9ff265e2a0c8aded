import Foundation
import TestSupport
import Testing

/// An authority, a server's certificate for `localhost` and 127.0.0.1, a client's, and a second authority that
/// has signed nothing. Made with the `openssl` command.
final class CertificateFolder: Sendable {
    private let folder: TemporaryFolder
    var path: String { folder.path }

    init() throws {
        folder = try TemporaryFolder("tls")
        try makeAuthority("ca")
        try makeAuthority("other-ca")
        try sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        try sign("elsewhere", "subjectAltName=DNS:elsewhere.example,IP:127.0.0.9")
        try sign("client", "extendedKeyUsage=clientAuth")
        try openssl("pkey", "-in", "client.key", "-aes256", "-passout", "pass:x", "-out", "locked.key")
        try FileManager.default.createDirectory(
            at: folder.url.appendingPathComponent("hashed"), withIntermediateDirectories: false)
        try FileManager.default.copyItem(atPath: path + "/ca.crt", toPath: path + "/hashed/ca.crt")
        try openssl("rehash", "hashed")
    }

    private static let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    private func makeAuthority(_ name: String) throws {
        let files = ["-keyout", "\(name).key", "-out", "\(name).crt", "-days", "2", "-subj", "/CN=\(name)"]
        try openssl(["req", "-x509"] + Self.key + files)
    }

    private func sign(_ name: String, _ extensions: String) throws {
        try extensions.write(toFile: path + "/extensions", atomically: true, encoding: .utf8)
        try openssl(
            ["req"] + Self.key + ["-keyout", "\(name).key", "-out", "\(name).csr", "-subj", "/CN=\(name)"])
        try openssl([
            "x509", "-req", "-in", "\(name).csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days",
            "2", "-extfile", "extensions", "-out", "\(name).crt",
        ])
    }

    private func openssl(_ arguments: String...) throws { try openssl(arguments) }

    private func openssl(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "openssl \(arguments.joined(separator: " "))")
    }

    /// What a server of these certificates is started with.
    func serverArguments(port: Int, certificate: String = "server", clients: String = "yes") -> [String] {
        [
            "--port", "0", "--tls-port", "\(port)", "--tls-ca-cert-file", path + "/ca.crt",
            "--tls-cert-file", path + "/\(certificate).crt", "--tls-key-file", path + "/\(certificate).key",
            "--tls-auth-clients", clients,
        ]
    }
}
