import Catalog
import Envelope
import Postgres

/// What a constraint's stored expression refuses. Its name and comment may say anything; the expression is what the
/// server checks.
struct FenceDefinition: Hashable {
    let column: String
    let type: ColumnType
    /// As the server shows it.
    let expression: String

    /// What is known of an expression.
    struct Finding: Hashable {
        /// The ids that it refuses in every spelling; empty where it is not the expression of a fence.
        var refused: [String] = []
        /// The ids that it refuses as this tool writes them; other spellings may get in.
        var denied: [String] = []
        /// How many spellings of a value under each of the ids that it names get in. Empty for a fence.
        var letIn: [String: Int] = [:]
    }

    func examine(_ session: PostgresSession) throws -> Finding {
        let ids = namedIDs
        var finding = Finding()
        if ids.isEmpty { return finding }
        let planner = FencePlanner(session: session)
        for id in ids {
            let spellings = FenceSpelling.all(of: id, for: type)
            let verdicts = try planner.outputs(of: spellings.map(probe)).map { $0 == ["false"] }
            if verdicts.first == true { finding.denied.append(id) }
            let letIn = verdicts.count { !$0 }
            if letIn > 0 { finding.letIn[id] = letIn }
        }
        if finding.letIn.isEmpty, try isOurs(naming: ids, planner) { finding.refused = ids }
        return finding
    }

    // MARK: Comparing

    /// Whether the server takes the expression for the one that we would write.
    private func isOurs(naming ids: [String], _ planner: FencePlanner) throws -> Bool {
        let quoted = SQLIdentifier.quoted(column)
        let ours = FenceExpression(of: quoted, type, retired: ids).sql
        // The planner leaves collations out, which decide what is equal.
        guard Self.collations(expression) == Self.collations(ours) else { return false }
        let statement = """
            SELECT (\(expression)), (\(ours)) \
            FROM pg_catalog.unnest('{}'::\(typeName)[]) AS v (\(quoted))
            """
        guard let output = try planner.outputs(of: [statement]).first, output.count == 2 else {
            throw PostgresError(.unexpectedAnswer, "a plan of two expressions shows another number of them")
        }
        return output[0] == output[1]
    }

    private static func collations(_ sql: String) -> [Int] {
        [sql.ranges(of: "COLLATE").count, sql.ranges(of: "COLLATE \"C\"").count]
    }

    private var typeName: String {
        switch type {
        case .bytea: "pg_catalog.bytea"
        case .text: "pg_catalog.text"
        case .varchar: "pg_catalog.varchar"
        case .json: "pg_catalog.json"
        case .jsonb: "pg_catalog.jsonb"
        }
    }

    // MARK: Probing

    /// The planner shows `false` for a value that is refused.
    private func probe(_ value: String) -> String {
        let constant =
            type == .bytea ? FenceLiteral.bytes(value) : FenceLiteral.text(value) + "::" + typeName
        return "SELECT (\(expression)) FROM (SELECT \(constant) AS \(SQLIdentifier.quoted(column))) AS v"
    }

    // MARK: Reading

    /// The ids that the expression names where a fence's has them: between quotes, or in the array of a `jsonb`.
    private var namedIDs: [String] {
        var ids: [String] = []
        for constant in constants {
            var text = constant[...]
            if type != .jsonb {
                guard text.count > 2, text.hasPrefix("\""), text.hasSuffix("\"") else { continue }
                text = text.dropFirst().dropLast()
            }
            if Self.isKeyID(text), !ids.contains(String(text)) { ids.append(String(text)) }
        }
        return ids
    }

    private static func isKeyID(_ text: Substring) -> Bool {
        do throws(KeyringError) {
            _ = try KeyID(String(text))
            return true
        } catch {
            return false
        }
    }

    /// The string constants in the expression; of `bytea`, what their hex says.
    private var constants: [String] {
        var constants: [String] = []
        var rest = expression[...]
        if type == .jsonb {
            guard let array = rest.firstRange(of: "ARRAY[") else { return [] }
            rest = rest[array.upperBound...]
        }
        while let quote = rest.firstIndex(of: "'") {
            var text = ""
            rest = rest[rest.index(after: quote)...]
            while let end = rest.firstIndex(of: "'") {
                text += rest[..<end]
                rest = rest[rest.index(after: end)...]
                guard rest.first == "'" else { break }
                text.append("'")
                rest = rest.dropFirst()
            }
            constants.append(type == .bytea ? Self.decoded(text) : text)
        }
        return constants
    }

    /// `\x226b…`, whose backslash is doubled where `standard_conforming_strings` is off.
    private static func decoded(_ constant: String) -> String {
        guard let hex = constant.split(separator: "\\", maxSplits: 2).last, hex.first == "x" else {
            return constant
        }
        var bytes: [UInt8] = []
        var digits = hex.dropFirst()[...]
        while !digits.isEmpty {
            guard let byte = UInt8(digits.prefix(2), radix: 16) else { return constant }
            bytes.append(byte)
            digits = digits.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
