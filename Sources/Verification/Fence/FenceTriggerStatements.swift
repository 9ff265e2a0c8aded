import Catalog

/// The SQL of a log-only fence: a trigger that names, in the server's log, who writes under a retired key, and
/// refuses nobody.
///
/// The fence's expression stands in the trigger's WHEN, so the function runs for late writers alone. It is an
/// AFTER trigger: it sees what is stored, and can change nothing. An UPDATE that leaves the value as it is, of
/// another column of an old row, is no late writer's.
struct FenceTriggerStatements {
    private let inspection: FenceInspection
    private var table: EncryptedTable { inspection.table }

    init(_ inspection: FenceInspection) {
        self.inspection = inspection
    }

    /// A partitioned table hands its triggers down; an inheriting child has none of its parent's.
    private var targets: [(oid: UInt32, sqlName: String)] {
        table.leaves.contains { $0.oid == table.oid }
            ? table.leaves.map { ($0.oid, $0.sqlName) } : [(table.oid, inspection.sqlName)]
    }

    func add(retired: [String]) -> [String] {
        table.columns.flatMap { column in
            let function = functionName(column)
            return [create(function, column)]
                + targets.flatMap { relation in
                    let expression = FenceExpression(
                        of: "NEW." + SQLIdentifier.quoted(column.name), column.type, retired: retired)
                    let trigger = triggerName(column)
                    return [
                        "DROP TRIGGER IF EXISTS \(trigger) ON \(relation.sqlName)",
                        """
                        CREATE TRIGGER \(trigger) AFTER INSERT OR UPDATE ON \(relation.sqlName) FOR EACH ROW \
                        WHEN (NOT (\(expression.sql))) EXECUTE FUNCTION \(function)(\(SQLLiteral.text(column.name)))
                        """,
                    ]
                }
        }
    }

    var drop: [String] {
        let triggers = inspection.triggers.map { trigger in
            let relation =
                table.leaves.first { $0.oid == trigger.relation }?.sqlName ?? inspection.sqlName
            return "DROP TRIGGER IF EXISTS \(SQLIdentifier.quoted(trigger.name)) ON \(relation)"
        }
        let functions = Set(inspection.triggers.map(\.name)).sorted().map { name in
            "DROP FUNCTION IF EXISTS \(schema).\(SQLIdentifier.quoted(name))()"
        }
        return triggers + functions
    }

    /// The message holds the row's id and never the value.
    private func create(_ function: String, _ column: EncryptedColumn) -> String {
        let name = SQLIdentifier.quoted(column.name)
        let ids = table.idColumns.map { "NEW.\(SQLIdentifier.quoted($0.name))" }
        let places = ids.map { _ in "%" }.joined(separator: ", ")
        // json has no operator for equality.
        let body = """
            BEGIN
                IF TG_OP = 'UPDATE' THEN
                    IF OLD.\(name)::text IS NOT DISTINCT FROM NEW.\(name)::text THEN RETURN NULL; END IF;
                END IF;
                RAISE LOG 'reencrypt-secrets fence: %.%.%: a value under a retired key was written (id=\(places)) by application "%", user %',
                    TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], \(ids.joined(separator: ", ")),
                    pg_catalog.current_setting('application_name'), session_user;
                RETURN NULL;
            END
            """
        return """
            CREATE OR REPLACE FUNCTION \(function)() RETURNS trigger LANGUAGE plpgsql \
            SET search_path = pg_catalog, pg_temp AS \(SQLLiteral.text(body))
            """
    }

    private func triggerName(_ column: EncryptedColumn) -> String {
        SQLIdentifier.quoted(FenceName.trigger(table: table.oid, column: column.name))
    }

    private func functionName(_ column: EncryptedColumn) -> String { schema + "." + triggerName(column) }

    /// The function lives where the table does.
    private var schema: String { inspection.quotedSchema }
}
