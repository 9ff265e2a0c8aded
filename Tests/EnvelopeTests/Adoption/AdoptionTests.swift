import Foundation
import Testing

import Envelope

/// What the tutorial of the library promises its readers; `ServiceKeys` and `Credentials` are its code.
@Suite("Adopting the library in a service")
struct AdoptionTests {
    let table = MemoryTable()

    @Test func sealsOnWriteAndOpensOnRead() async throws {
        let credentials = Credentials(keyring: try RollOut.before.keyring, table: table)
        try await credentials.store("sk-live-1234", as: 1)
        let stored = try #require(await table.values[1])
        #expect(!stored.contains("sk-live"))
        #expect(try Keyring.keyID(of: stored).description == "kek-v1")
        #expect(try await credentials.secret(of: 1) == Array("sk-live-1234".utf8))
        #expect(try await credentials.secret(of: 2) == nil)
    }

    @Test func keysComeFromFiles() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "key-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data((RollOut.before.settings["SECRETS_ENCRYPTION_KEY"] ?? "").utf8 + [0x0A]).write(to: file)
        let keyring = try ServiceKeys.keyring(["SECRETS_ENCRYPTION_KEY_FILE": file.path])
        #expect(ServiceKeys.summary(of: keyring) == "kek-v1 \(keyring.primary.checkValue)")

        try Data(repeating: 0x41, count: 5_000).write(to: file)
        #expect(throws: ServiceKeys.UnreadableSetting.self) {
            try ServiceKeys.keyring(["SECRETS_ENCRYPTION_KEY_FILE": file.path])
        }
        #expect(throws: ServiceKeys.UnreadableSetting.self) {
            try ServiceKeys.keyring(["SECRETS_ENCRYPTION_KEY_FILE": "/nowhere"])
        }
        #expect(throws: KeyringError.self) { try ServiceKeys.keyring([:]) }
    }

    /// Instances of one stage and of the next run side by side while it is rolled out.
    @Test(arguments: zip(RollOut.allCases, RollOut.allCases.dropFirst()))
    func neighboursReadEachOther(_ stage: RollOut, _ next: RollOut) async throws {
        let old = try Credentials(keyring: stage.keyring, table: table, renewsOnRead: stage.renews)
        let new = try Credentials(keyring: next.keyring, table: table, renewsOnRead: next.renews)
        try await old.store("by the old one", as: 1)
        try await new.store("by the new one", as: 2)
        // The last stage is entered when nothing is under the old key any more.
        for reader in [old, new] {
            #expect(try await reader.secret(of: 1) == Array("by the old one".utf8))
            #expect(try await reader.secret(of: 2) == Array("by the new one".utf8))
        }
    }

    @Test func aStageThatIsLeftOutIsNoticed() async throws {
        let old = Credentials(keyring: try RollOut.before.keyring, table: table)
        let new = Credentials(keyring: try RollOut.primary.keyring, table: table)
        try await new.store("by the new one", as: 1)
        let failure = await #expect(throws: Credentials.Failure.self) { try await old.secret(of: 1) }
        guard case .keyIsMissing(let text) = failure else {
            Issue.record("another failure: \(String(describing: failure))")
            return
        }
        #expect(text.contains("kek-v2"))
    }

    @Test func renewsWhatItReads() async throws {
        try await Credentials(keyring: RollOut.before.keyring, table: table).store("sk-live-1234", as: 1)
        let reading = Credentials(keyring: try RollOut.primary.keyring, table: table)
        _ = try await reading.secret(of: 1)
        #expect(try await keyID(of: 1) == "kek-v1")

        let renewing = Credentials(keyring: try RollOut.renewing.keyring, table: table, renewsOnRead: true)
        #expect(try await renewing.secret(of: 1) == Array("sk-live-1234".utf8))
        #expect(try await keyID(of: 1) == "kek-v2")
        let replaced = await table.replacements
        _ = try await renewing.secret(of: 1)
        #expect(await table.replacements == replaced)
        // And without the old key.
        let last = Credentials(keyring: try RollOut.removed.keyring, table: table)
        #expect(try await last.secret(of: 1) == Array("sk-live-1234".utf8))
    }

    @Test func aNewerSecretIsNotOverwritten() async throws {
        try await Credentials(keyring: RollOut.before.keyring, table: table).store("older", as: 1)
        let renewing = Credentials(keyring: try RollOut.renewing.keyring, table: table, renewsOnRead: true)
        await table.beforeReplacing { try await renewing.store("newer", as: 1) }
        #expect(try await renewing.secret(of: 1) == Array("older".utf8))
        #expect(try await renewing.secret(of: 1) == Array("newer".utf8))
    }

    @Test func damageIsNamedWithoutItsBytes() async throws {
        let credentials = Credentials(keyring: try RollOut.before.keyring, table: table)
        await table.write("sk-live-never-sealed", to: 1)
        let failure = await #expect(throws: Credentials.Failure.self) { try await credentials.secret(of: 1) }
        guard case .valueIsUnusable(let text) = failure else {
            Issue.record("another failure: \(String(describing: failure))")
            return
        }
        #expect(text.contains("no envelope") && !text.contains("sealed"))
    }

    private func keyID(of id: Int) async throws -> String {
        try Keyring.keyID(of: #require(await table.values[id])).description
    }
}

/// The stages of the tutorial, by the settings that it shows.
enum RollOut: Int, CaseIterable, Sendable {
    case before = 0, readable, primary, renewing, removed

    var settings: [String: String] {
        get throws {
            let folder = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../../../Sources/Envelope/Envelope.docc/Resources")
            let text = try String(
                contentsOf: folder.appending(path: "RollOut-\(rawValue).sh"), encoding: .utf8)
            let pairs = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(parts[0]), String(parts[1]))
            }
            return Dictionary(uniqueKeysWithValues: pairs)
        }
    }

    var keyring: Keyring { get throws { try ServiceKeys.keyring(settings) } }
    var renews: Bool { get throws { try settings["RENEW_SECRETS_ON_READ"] != nil } }
}

/// A column in memory.
actor MemoryTable: CredentialTable {
    private(set) var values: [Int: String] = [:]
    private(set) var replacements = 0
    private var interruption: (@Sendable () async throws -> Void)?

    func value(of id: Int) -> String? { values[id] }

    func write(_ value: String, to id: Int) { values[id] = value }

    func replace(_ old: String, by new: String, in id: Int) async throws {
        let interruption = interruption
        self.interruption = nil
        try await interruption?()
        if values[id] == old {
            values[id] = new
            replacements += 1
        }
    }

    /// What somebody else does in that moment, once.
    func beforeReplacing(_ interruption: @escaping @Sendable () async throws -> Void) {
        self.interruption = interruption
    }
}
