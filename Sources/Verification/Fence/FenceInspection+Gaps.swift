import Catalog

extension FenceInspection {
    /// Where values under one of these ids could get in, each as a sentence.
    func gaps(in retired: [String]) -> [String] {
        table.columns.flatMap { column in
            relations.compactMap { relation in
                let open = Set(retired).subtracting(refusedKeyIDs(column, on: relation.oid)).sorted()
                if open.isEmpty { return nil }
                return
                    "\(relation.sqlName).\(SQLIdentifier.quoted(column.name)) does not refuse values under \(open.joined(separator: ", "))"
            }
        }
    }
}
