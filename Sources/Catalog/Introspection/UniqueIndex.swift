import Postgres

/// A unique index, as far as it bears on enumerating a relation by its key.
struct UniqueIndex {
    let relation: UInt32
    let oid: UInt32
    let name: String
    let isPrimary: Bool
    /// Why it is no key to enumerate by; nil where nothing speaks against it.
    let defect: String?
    var keys: [Key]

    struct Key {
        /// nil for an expression.
        let column: String?
        /// Quoted and qualified; nil for a type without collations.
        let collation: String?
        /// The operator class orders as `<` does.
        let hasDefaultOrder: Bool
        let isDescending: Bool
    }

    /// The unique indexes of the relations, by relation.
    static func all(
        of relations: [UInt32], session: PostgresSession
    ) throws(PostgresError) -> [UInt32: [UniqueIndex]] {
        var parameters = QueryParameters()
        parameters.append(oids: relations)
        // An operator class of the default one's family (varchar_ops beside text_ops) orders alike.
        let result = try session.query(
            """
            SELECT i.indrelid, i.indexrelid, ic.relname, i.indisprimary,
                CASE WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN 'invalid'
                    WHEN i.indpred IS NOT NULL THEN 'partial'
                    WHEN i.indexprs IS NOT NULL THEN 'on expressions'
                    WHEN am.amname <> 'btree' THEN 'of type ' || am.amname END,
                a.attname, cn.nspname, co.collname,
                COALESCE(EXISTS (SELECT FROM pg_catalog.pg_opclass d
                    WHERE d.opcfamily = o.opcfamily AND d.opcmethod = o.opcmethod AND d.opcdefault), false),
                (i.indoption[key.position - 1] & 1) = 1
            FROM pg_catalog.pg_index i
            JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
            JOIN pg_catalog.pg_am am ON am.oid = ic.relam
            CROSS JOIN LATERAL pg_catalog.generate_series(1, i.indnkeyatts) AS key (position)
            LEFT JOIN pg_catalog.pg_attribute a
                ON a.attrelid = i.indrelid AND a.attnum = i.indkey[key.position - 1] AND a.attnum > 0
            LEFT JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[key.position - 1]
            LEFT JOIN pg_catalog.pg_collation co ON co.oid = i.indcollation[key.position - 1]
            LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
            WHERE i.indrelid = ANY ($1) AND i.indisunique
            ORDER BY i.indrelid, i.indexrelid, key.position
            """, parameters)
        var indexes: [UInt32: [UniqueIndex]] = [:]
        for row in 0..<result.rowCount {
            let relation = try result.objectID(row, 0)
            let oid = try result.objectID(row, 1)
            var collation: String?
            if let schema = result.string(row, 6), let name = result.string(row, 7) {
                collation = SQLIdentifier.quoted(schema) + "." + SQLIdentifier.quoted(name)
            }
            let key = Key(
                column: result.string(row, 5), collation: collation,
                hasDefaultOrder: try result.flag(row, 8), isDescending: try result.flag(row, 9))
            var known = indexes[relation, default: []]
            if known.last?.oid == oid {
                known[known.count - 1].keys.append(key)
            } else {
                known.append(
                    UniqueIndex(
                        relation: relation, oid: oid, name: try result.text(row, 2),
                        isPrimary: try result.flag(row, 3), defect: result.string(row, 4), keys: [key]))
            }
            indexes[relation] = known
        }
        return indexes
    }

    /// Its key columns in order; nil where one is an expression.
    var columns: [String]? {
        let names = keys.compactMap(\.column)
        return names.count == keys.count ? names : nil
    }

    /// A range scan in key order follows this index. Otherwise the server sorts: right, but slow.
    var isOrdered: Bool {
        keys.allSatisfy(\.hasDefaultOrder) && Set(keys.map(\.isDescending)).count == 1
    }

    /// The best usable index of `candidates` whose key columns are exactly `columns`, in any order.
    static func best(for columns: [String], among candidates: [UniqueIndex]) -> UniqueIndex? {
        candidates.filter { $0.defect == nil && $0.covers(columns) }
            .min { $0.rank(columns) < $1.rank(columns) }
    }

    func covers(_ columns: [String]) -> Bool {
        keys.count == columns.count
            && self.columns.map { Set($0.map(StoredName.init)) } == Set(columns.map(StoredName.init))
    }

    /// Lower is better: ordered, in the catalog's own order, primary, oldest.
    private func rank(_ wanted: [String]) -> (Int, Int, Int, UInt32) {
        (
            isOrdered ? 0 : 1, columns?.map(StoredName.init) == wanted.map(StoredName.init) ? 0 : 1,
            isPrimary ? 0 : 1, oid
        )
    }
}
