import Catalog

/// A column of a system catalog, and how PostgreSQL describes what a row of it belongs to.
struct SystemColumn {
    let relation: String
    let column: String
    private let hasOID: Bool

    init(_ relation: String, _ column: String, hasOID: Bool) {
        self.relation = relation
        self.column = column
        self.hasOID = hasOID
    }

    var name: String { "pg_catalog.\(relation)" }
    var from: String { "pg_catalog.\(SQLIdentifier.quoted(relation)) AS t" }

    /// Settings of other databases are a matter of those.
    var condition: String {
        guard relation == "pg_db_role_setting" else { return "true" }
        return """
            t.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d
                WHERE d.datname = pg_catalog.current_database()))
            """
    }

    /// An SQL expression of a row `t`.
    var description: String {
        switch relation {
        case "pg_attribute":
            Self.object("'pg_catalog.pg_class'::pg_catalog.regclass", "t.attrelid", "t.attnum")
        case "pg_index": Self.relation("t.indexrelid")
        case "pg_partitioned_table": Self.relation("t.partrelid")
        case "pg_foreign_table": Self.relation("t.ftrelid")
        case "pg_aggregate": Self.object("'pg_catalog.pg_proc'::pg_catalog.regclass", "t.aggfnoid", "0")
        case "pg_description", "pg_seclabel": Self.object("t.classoid", "t.objoid", "t.objsubid")
        case "pg_shdescription", "pg_shseclabel": Self.object("t.classoid", "t.objoid", "0")
        case "pg_settings": "pg_catalog.concat('the setting ', t.name)"
        case "pg_db_role_setting":
            "pg_catalog.concat('a setting of ', CASE WHEN t.setrole = 0 THEN 'the database' ELSE 'a role' END)"
        // These have no description of their own.
        case "pg_replication_origin", "pg_parameter_acl", "pg_shdepend": "'\(name)'::text"
        default:
            hasOID
                ? Self.object("'\(name)'::pg_catalog.regclass", "t.oid", "0") : "'\(name)'::text"
        }
    }

    func finding(_ reason: CoverageFinding.Reason, objects: [String]) -> CoverageFinding {
        var finding = CoverageFinding(
            schema: "pg_catalog", table: relation, column: column, type: "text", kind: .systemCatalog,
            reason: reason)
        finding.objects = objects
        return finding
    }

    private static func relation(_ oid: String) -> String {
        object("'pg_catalog.pg_class'::pg_catalog.regclass", oid, "0")
    }

    private static func object(_ classOID: String, _ oid: String, _ number: String) -> String {
        "pg_catalog.pg_describe_object(\(classOID), \(oid), \(number))"
    }
}
