import Catalog
import Postgres

/// Looks for envelopes in large objects: in the first 256 KiB of each; of many objects, in the first and the last and
/// in some drawn at random. One that the role may not read may hold anything.
struct LargeObjectSearch {
    static let column = QualifiedColumn(schema: "pg_catalog", table: "pg_largeobject", column: "data")

    private static let objectsAtEachEnd = 200
    private static let objectsDrawn = 600
    private static let atOnce = 25
    private static let bytesOfEach = 262_144

    private let seed: UInt16

    init(seed: UInt16) {
        self.seed = seed
    }

    func run(_ session: PostgresSession, _ tally: inout CoverageTally) throws(PostgresError) {
        do throws(PostgresError) {
            let all = try session.query("SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata")
                .number(0, 0)
            guard all > 0 else { return }
            let (readable, hidden) = try drawn(session)
            if let first = hidden.first {
                let finding = Self.finding(
                    .notLookedAt(
                        "the role lacks SELECT on \(hidden.count) of them; GRANT SELECT ON LARGE OBJECT \(first), or list "
                            + "\(CatalogName.dotted(["pg_catalog", "pg_largeobject", "data"])) under ignore:"),
                    hidden, [])
                tally.add(finding)
            }
            var found: [(oid: UInt32, keyIDs: Set<String>)] = []
            for start in stride(from: 0, to: readable.count, by: Self.atOnce) {
                found += try look(Array(readable[start..<min(start + Self.atOnce, readable.count)]), session)
            }
            tally.largeObjects = Coverage.LargeObjects(looked: readable.count, all: all)
            if found.isEmpty { return }
            let keyIDs = found.reduce(into: Set<String>()) { $0.formUnion($1.keyIDs) }
            tally.add(Self.finding(.envelopes, found.map(\.oid), keyIDs.sorted()))
        } catch {
            if error.breaksConnection { throw error }
            var finding = Self.finding(.notLookedAt(error.message), [], [])
            finding.objects = ["large objects"]
            tally.add(finding)
        }
    }

    /// Which are looked at, and those of them that the role may not read. The privileges as lo_get checks them.
    private func drawn(
        _ session: PostgresSession
    ) throws(PostgresError) -> (readable: [UInt32], hidden: [UInt32]) {
        let result = try session.query(
            """
            WITH drawn AS (
                (SELECT oid FROM pg_catalog.pg_largeobject_metadata ORDER BY oid LIMIT \(Self.objectsAtEachEnd))
                UNION
                (SELECT oid FROM pg_catalog.pg_largeobject_metadata ORDER BY oid DESC LIMIT \(Self.objectsAtEachEnd))
                UNION
                (SELECT oid FROM pg_catalog.pg_largeobject_metadata
                    ORDER BY pg_catalog.hashoidextended(oid, \(seed)) LIMIT \(Self.objectsDrawn))
            )
            SELECT m.oid, pg_catalog.current_setting('lo_compat_privileges') = 'on'
                OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
                OR EXISTS (SELECT FROM pg_catalog.aclexplode(
                        COALESCE(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) AS a
                    WHERE a.privilege_type = 'SELECT' AND CASE WHEN a.grantee = 0 THEN true
                        ELSE pg_catalog.pg_has_role(a.grantee, 'USAGE') END)
            FROM drawn JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = drawn.oid ORDER BY m.oid
            """)
        var (readable, hidden): ([UInt32], [UInt32]) = ([], [])
        for row in 0..<result.rowCount {
            let oid = try result.objectID(row, 0)
            if try result.flag(row, 1) { readable.append(oid) } else { hidden.append(oid) }
        }
        return (readable, hidden)
    }

    private func look(
        _ oids: [UInt32], _ session: PostgresSession
    ) throws(PostgresError) -> [(oid: UInt32, keyIDs: Set<String>)] {
        var parameters = QueryParameters()
        parameters.append(oids: oids)
        do throws(PostgresError) {
            let result = try session.query(Self.statement, parameters)
            var found: [(oid: UInt32, keyIDs: Set<String>)] = []
            for row in 0..<result.rowCount {
                let oid = try result.objectID(row, 0)
                guard let part = result.bytes(row, 1) else { continue }
                found.append((oid, EnvelopeFragments(in: Array(part)).keyIDs))
            }
            return found
        } catch {
            // One of them was dropped meanwhile.
            guard error.sqlState == .undefinedObject else { throw error }
            if oids.count == 1 { return [] }
            var found: [(oid: UInt32, keyIDs: Set<String>)] = []
            for oid in oids { found += try look([oid], session) }
            return found
        }
    }

    /// What surrounds the first place that spells `dek_wrapped`, or else the beginning.
    private static let statement = """
        SELECT o.oid, pg_catalog.substr(o.data, greatest(1, pg_catalog.position(o.data, \(mark)) - 200), 65536)
        FROM (SELECT oid, pg_catalog.lo_get(oid, 0, \(bytesOfEach)) AS data
            FROM pg_catalog.unnest($1) AS drawn (oid) OFFSET 0) AS o
        WHERE \(SampleStatements.spells(SampleStatements.members, "o.data", isBytes: true))
        """
    private static let mark = "pg_catalog." + SQLLiteral.bytea("dek_wrapped")

    private static func finding(
        _ reason: CoverageFinding.Reason, _ oids: [UInt32], _ keyIDs: [String]
    ) -> CoverageFinding {
        var finding = CoverageFinding(
            schema: column.schema, table: column.table, column: column.column, type: "bytea",
            kind: .largeObject, reason: reason, keyIDs: keyIDs)
        finding.objects = oids.map { "large object \($0)" }
        return finding
    }
}
