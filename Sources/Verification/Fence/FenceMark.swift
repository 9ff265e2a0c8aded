import FoundationEssentials

/// What a fence's comment in the database says: which ids it refuses, and which id was the target.
package struct FenceMark: Sendable, Hashable, Codable {
    package let retired: [String]
    package let target: String

    package init(target: String, retired: [String]) {
        self.target = target
        self.retired = retired.sorted()
    }

    /// nil for a comment that is not of this form: somebody has changed it.
    package init?(comment: String?) {
        guard let comment else { return nil }
        do {
            self = try JSONDecoder().decode(FenceMark.self, from: Data(comment.utf8))
        } catch {
            return nil
        }
    }

    /// Ids need no escapes in JSON, nor in SQL.
    package var comment: String {
        let ids = retired.map { "\"\($0)\"" }.joined(separator: ",")
        return "{\"retired\":[\(ids)],\"target\":\"\(target)\"}"
    }
}

/// Names of what a fence makes. PostgreSQL prints a constraint's name to the writer that it refuses, so the name
/// leads to the runbook.
package enum FenceName {
    package static let constraintPrefix = "reencrypt_fence_retired_key_see_runbook_"
    package static let triggerPrefix = "reencrypt_fence_log_retired_key_"

    /// One name for each column and mark, so that a new fence can stand beside the one it replaces. Where somebody
    /// has the name already (a column that was renamed under its fence, a constraint that is no fence any more),
    /// another one.
    static func constraint(column: String, _ mark: FenceMark, besides taken: Set<String> = []) -> String {
        let text = column + "\u{0}" + mark.comment
        var name = constraintPrefix + digest(of: text)
        var number = 1
        while taken.contains(name) {
            number += 1
            name = constraintPrefix + digest(of: text + "\u{0}\(number)")
        }
        return name
    }

    /// Trigger and function. They carry no mark: the function is replaced where it stands.
    static func trigger(table: UInt32, column: String) -> String {
        triggerPrefix + digest(of: "\(table)\u{0}\(column)")
    }

    /// FNV-1a, 64 bits in hex: it tells names apart and protects nothing.
    private static func digest(of text: String) -> String {
        let hash = text.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let hex = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - hex.count) + hex
    }
}
