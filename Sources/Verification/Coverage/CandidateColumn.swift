import Catalog
import Postgres

/// A column whose type can hold an envelope, in whatever stores rows.
struct CandidateColumn {
    let relation: UInt32
    let schema: String
    let table: String
    /// The root of the partitions that it is in; the relation itself where it is no partition.
    let rootOID: UInt32
    let rootSchema: String
    let rootTable: String
    let kind: Kind
    /// Its rows are in blocks of its own file, by which they can be sampled.
    let isHeap: Bool
    /// Its number in the relation, which no other column ever gets.
    let number: Int
    let name: String
    let type: String
    let typeOID: UInt32
    let form: Form
    let mayRead: Bool

    /// `pg_class.relkind`, as far as it bears on reading.
    enum Kind {
        case storing
        case partitioned
        case materialised
        /// A materialised view without its data.
        case unpopulated
        case foreign
    }

    /// How the bytes of a value are come by.
    enum Form {
        case bytes
        case text
        case jsonb
        /// An array, a composite, a range or a type of an extension: by what its output function writes.
        case other
    }

    var sqlName: String { SQLIdentifier.quoted(schema) + "." + SQLIdentifier.quoted(table) }
    var isNamedEncrypted: Bool { name.lowercased().hasSuffix("_encrypted") }

    /// What the column is, beside its names, which may change.
    var identity: Identity { Identity(relation: relation, number: number, type: typeOID) }

    struct Identity: Hashable {
        let relation: UInt32
        let number: Int
        let type: UInt32
    }

    /// - Parameter relation: the only one that is asked for; nil: all.
    static func all(
        _ session: PostgresSession, of relation: UInt32? = nil
    ) throws(PostgresError) -> [CandidateColumn] {
        var parameters = QueryParameters()
        parameters.append(oid: relation ?? 0)
        let result = try session.query(CandidateStatement.text, parameters)
        var columns: [CandidateColumn] = []
        for row in 0..<result.rowCount {
            columns.append(
                CandidateColumn(
                    relation: try result.objectID(row, 0), schema: try result.text(row, 1),
                    table: try result.text(row, 2), rootOID: try result.objectID(row, 3),
                    rootSchema: try result.text(row, 4), rootTable: try result.text(row, 5),
                    kind: try kind(result.text(row, 6), isPopulated: result.flag(row, 7)),
                    isHeap: try result.flag(row, 8), number: try result.number(row, 9),
                    name: try result.text(row, 10), type: try result.text(row, 11),
                    typeOID: try result.objectID(row, 12), form: try form(result.text(row, 13)),
                    mayRead: try result.flag(row, 14)))
        }
        return columns
    }

    private static func kind(_ letter: String, isPopulated: Bool) -> Kind {
        switch letter {
        case "p": .partitioned
        case "m": isPopulated ? .materialised : .unpopulated
        case "f": .foreign
        default: .storing
        }
    }

    private static func form(_ letter: String) -> Form {
        switch letter {
        case "b": .bytes
        case "j": .jsonb
        case "t": .text
        default: .other
        }
    }
}
