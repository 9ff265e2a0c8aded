import Envelope
import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import reencrypt_secrets

/// Where settings come from, and that nothing of a secret is in an error.
@Suite(.serialized) struct SettingsTests {
    private func write(_ text: String, to path: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
    }

    @Test(arguments: [
        ("A_SETTING=plain", "plain"), ("export A_SETTING=exported", "exported"),
        ("  A_SETTING = spaced  ", "spaced"), ("A_SETTING=\"in # quotes\"", "in # quotes"),
        ("A_SETTING='single'", "single"), ("A_SETTING=bare # a comment", "bare"),
        ("A_SETTING=with#hash", "with#hash"), ("A_SETTING=first\nA_SETTING=last", "last"),
        ("A_SETTING=dos\r\n", "dos"), ("# A_SETTING=comment\nA_SETTING_OTHER=x\nA_SETTING=right", "right"),
    ])
    func aDotEnvFileIsRead(contents: String, expected: String) throws {
        try withTemporaryFolder { folder in
            try write(contents, to: folder + "/.env")
            #expect(try Environment(directory: folder).string("A_SETTING") == expected)
        }
    }

    @Test func theEnvironmentRanksAboveTheFile() throws {
        try withTemporaryFolder { folder in
            try write("RANKED_SETTING=file", to: folder + "/.env")
            setenv("RANKED_SETTING", "environment", 1)
            defer { unsetenv("RANKED_SETTING") }
            #expect(try Environment(directory: folder).string("RANKED_SETTING") == "environment")
        }
    }

    @Test func aFileVariantIsReadAndBothAreRefused() throws {
        try withTemporaryFolder { folder in
            try write("from a file\n", to: folder + "/key")
            setenv("FILED_SETTING_FILE", folder + "/key", 1)
            defer { unsetenv("FILED_SETTING_FILE"); unsetenv("FILED_SETTING") }
            #expect(try Environment(directory: folder).string("FILED_SETTING") == "from a file")
            setenv("FILED_SETTING", "x", 1)
            #expect(throws: SettingsError.self) { try Environment(directory: folder).string("FILED_SETTING") }
        }
    }

    @Test func aMissingKeyFileIsNamed() throws {
        setenv("ABSENT_SETTING_FILE", "/nonexistent/key", 1)
        defer { unsetenv("ABSENT_SETTING_FILE") }
        let error = #expect(throws: SettingsError.self) { try Environment().string("ABSENT_SETTING") }
        #expect(error?.description.contains("/nonexistent/key") == true)
    }

    @Test func secretsAreWipedFromTheEnvironmentBeforeTheyAreRead() throws {
        let text = "kek-v7:" + String(repeating: "A", count: 42) + "E="
        setenv(KeySettings.primary, text, 1)
        let pointer = try #require(getenv(KeySettings.primary))
        let environment = try Environment(directory: "/nonexistent")
        #expect(getenv(KeySettings.primary) == nil)
        #expect(UnsafeBufferPointer(start: pointer, count: text.utf8.count).allSatisfy { $0 == 0 })
        #expect(try KeySettings.keyring(environment).primary.id.description == "kek-v7")
        // Twice, as by a command that asks first whether there is one.
        #expect(try KeySettings.keyring(environment).primary.id.description == "kek-v7")
    }

    @Test func anExpectedCheckValueIsCompared() throws {
        let key = try KeyEncryptionKey.generate(id: try KeyID("kek-v2"))
        let keyring = try Keyring(primary: key)
        try #require(ExpectedCheckValue(argument: "kek-v2:\(key.checkValue)")).check(keyring)
        let wrong = try #require(ExpectedCheckValue(argument: "kek-v2:0011223344556677"))
        #expect(throws: SettingsError.self) { try wrong.check(keyring) }
        let other = try #require(ExpectedCheckValue(argument: "kek-v3:\(key.checkValue)"))
        #expect(throws: SettingsError.self) { try other.check(keyring) }
        #expect(ExpectedCheckValue(argument: "kek-v2:xyz") == nil)
        #expect(ExpectedCheckValue(argument: "0011223344556677") == nil)
    }
}
