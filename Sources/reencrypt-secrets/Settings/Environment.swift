import Envelope
import Glibc

/// The settings that come by environment, by files that the environment names (`…_FILE`), and, below both,
/// by a `.env` file in the working directory. Keys and addresses never come by argument.
struct Environment {
    private let dotEnv: DotEnvFile
    /// The secrets that came as variables, which are gone from the environment.
    private let taken: [String: SecretBytes]

    /// The variables that hold keys or passwords. libpq's `PGPASSWORD` is not among them: libpq reads it again at
    /// each connection.
    static let secretNames = [
        KeySettings.primary, KeySettings.previous, "DATABASE_URL", "REDIS_URL", DashboardCommand.tokenName,
    ]

    /// Takes the secrets out of the environment block, where `/proc` and a core dump would show them.
    ///
    /// - Parameter directory: where `.env` is looked for.
    init(directory: String = ".") throws(SettingsError) {
        taken = Self.takeSecrets()
        dotEnv = try DotEnvFile(path: directory + "/.env")
        adoptLibPQVariables()
    }

    /// Hands the bytes of a setting to `body`, nil where nothing sets it; empty counts as not set.
    func withSecret<R>(
        _ name: String, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) throws -> R {
        try withVariable(name) { value in
            if let source = try source(of: name, value: value, file: Self.variable(name + "_FILE")) {
                return try source.read(body)
            }
            return try dotEnv.withValue(of: name) { value in
                try dotEnv.withValue(of: name + "_FILE") { file in
                    guard let source = try source(of: name, value: value, file: file) else {
                        return try body(nil)
                    }
                    return try source.read(body)
                }
            }
        }
    }

    /// A setting that is no secret, or that libpq needs as a string anyway.
    func string(_ name: String) throws -> String? {
        try withSecret(name) { bytes in
            guard let bytes else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            return text.hasSuffix("\n") ? String(text.dropLast()) : text
        }
    }

    private static func takeSecrets() -> [String: SecretBytes] {
        var taken: [String: SecretBytes] = [:]
        for name in secretNames {
            guard let value = getenv(name) else { continue }
            let count = strlen(value)
            taken[name] = SecretBytes(count: count) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: value, count: count))
            }
            explicit_bzero(value, count)
            unsetenv(name)
        }
        return taken
    }

    private enum Source {
        case bytes(UnsafeRawBufferPointer)
        case file(SecretBytes)

        func read<R>(_ body: (UnsafeRawBufferPointer?) throws -> R) rethrows -> R {
            switch self {
            case .bytes(let bytes): try body(bytes)
            case .file(let contents): try contents.withUnsafeBytes { try body($0) }
            }
        }
    }

    private func source(
        of name: String, value: UnsafeRawBufferPointer?, file: UnsafeRawBufferPointer?
    ) throws(SettingsError) -> Source? {
        let value = value.flatMap { $0.isEmpty ? nil : $0 }
        let file = file.flatMap { $0.isEmpty ? nil : $0 }
        switch (value, file) {
        case (nil, nil): return nil
        case (let value?, nil): return .bytes(value)
        case (nil, let file?):
            return .file(
                try SecretFile.read(String(decoding: file, as: UTF8.self), what: "file of \(name)_FILE"))
        case (_?, _?):
            throw SettingsError("\(name) and \(name)_FILE are both set; unset one of them")
        }
    }

    private func withVariable<R>(_ name: String, _ body: (UnsafeRawBufferPointer?) throws -> R) rethrows -> R
    {
        guard let secret = taken[name] else { return try body(Self.variable(name)) }
        return try secret.withUnsafeBytes { try body($0) }
    }

    private static func variable(_ name: String) -> UnsafeRawBufferPointer? {
        getenv(name).map { UnsafeRawBufferPointer(start: $0, count: strlen($0)) }
    }

    /// libpq reads `PG*` from the process's environment alone. Called before any thread is started.
    private func adoptLibPQVariables() {
        let names = [
            "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE",
            "PGSERVICEFILE", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL",
            "PGCHANNELBINDING",
            "PGTARGETSESSIONATTRS", "PGREQUIREPEER", "PGGSSENCMODE", "PGOPTIONS", "PGCONNECT_TIMEOUT",
        ]
        for name in names {
            dotEnv.withValue(of: name) { value in
                guard let value, !value.isEmpty else { return }
                setenv(name, String(decoding: value, as: UTF8.self), 0)
            }
        }
    }
}
