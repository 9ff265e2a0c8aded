/// Which part of the catalog a job is about: the words that keep it from being taken for the whole.
struct JobScope: Sendable {
    let tables: [String]
    /// Tables of the catalog that `--table` leaves out.
    let tablesLeftOut: [String]

    /// ` for --table a, b`; empty for the whole catalog.
    var part: String { tablesLeftOut.isEmpty ? "" : " for --table \(tables.joined(separator: ", "))" }

    /// `; 2 other tables of the catalog were not looked at`; empty for the whole catalog.
    var rest: String {
        switch tablesLeftOut.count {
        case 0: ""
        case 1: "; 1 other table of the catalog was not looked at"
        default: "; \(tablesLeftOut.count) other tables of the catalog were not looked at"
        }
    }

    /// Nothing to do is also what the wrong database looks like.
    static let noRecord =
        "There was no record in the catalog's columns: make sure that this is the database that the applications use"
}
