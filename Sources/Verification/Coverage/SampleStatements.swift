import Catalog

/// The SQL that looks into a relation's columns for envelopes, at a bounded cost whatever its size.
///
/// Read are the whole of a small relation; of a larger one its first and last blocks, where a column that came
/// later is filled first, and blocks drawn at random between. Values beyond a size are passed over.
///
/// The server sorts out what can be no envelope: a legal one names `dek_wrapped` in plain letters, or has an
/// escape (`\u`) somewhere. A value that holds those letters in hex is an image of a `bytea`.
struct SampleStatements {
    /// 2 MB: read whole.
    static let wholeUpTo = 256
    private static let blocksAtEachEnd = 32
    private static let blocksDrawn = 192
    /// An envelope of a secret of 48 KB.
    private static let largestValue = 65_536
    /// Values of a column that are fetched and parsed.
    private static let fetched = 200

    /// Why a value is worth parsing.
    enum Trace: CaseIterable {
        /// It spells `dek_wrapped`, in plain letters or in hex.
        case member
        /// It holds an escape, which may stand for any letter.
        case escape
    }

    private let relation: String
    private let columns: [CandidateColumn]
    private let blocks: Int
    /// Draws the same blocks in each statement.
    private let seed: UInt16

    /// - Precondition: the columns are of one relation, not none, and of a form that is looked into.
    init(_ columns: [CandidateColumn], blocks: Int, seed: UInt16) {
        relation = columns.first?.sqlName ?? ""
        self.columns = columns
        self.blocks = blocks
        self.seed = seed
    }

    /// How many blocks a relation has; NULL where it is gone.
    static let blockCount =
        "SELECT pg_catalog.pg_relation_size($1) / pg_catalog.current_setting('block_size')::bigint"

    /// For each column and each trace, in how many values of the sample it is.
    var traces: String {
        let counts = columns.flatMap { column in
            Trace.allCases.map { "pg_catalog.count(*) FILTER (WHERE \(Self.has($0, column)))" }
        }
        return "SELECT \(counts.joined(separator: ", ")) FROM \(sample(columns)) AS s"
    }

    /// Values of a column that have a trace. Those with escapes, which may be many, crowd out no others.
    func values(of column: CandidateColumn, with trace: Trace) -> String {
        "SELECT \(Self.value(column)) FROM \(sample([column])) AS s WHERE \(Self.has(trace, column)) "
            + "LIMIT \(Self.fetched)"
    }

    private func sample(_ columns: [CandidateColumn]) -> String {
        let names = columns.map { "t.\(SQLIdentifier.quoted($0.name))" }.joined(separator: ", ")
        let select = "SELECT \(names) FROM ONLY \(relation) AS t"
        if blocks <= Self.wholeUpTo { return "(\(select))" }
        let percent = Double(Self.blocksDrawn) * 100 / Double(blocks)
        return """
            (\(select) WHERE t.ctid < '(\(Self.blocksAtEachEnd),0)'::tid \
            UNION ALL \(select) WHERE t.ctid >= '(\(blocks - Self.blocksAtEachEnd),0)'::tid \
            UNION ALL \(select) TABLESAMPLE SYSTEM (\(percent)) REPEATABLE (\(seed)))
            """
    }

    /// Bytes for `bytea`, text for all others.
    private static func value(_ column: CandidateColumn) -> String {
        let name = "s.\(SQLIdentifier.quoted(column.name))"
        return column.form == .bytes ? "\(name)::bytea" : "\(name)::text"
    }

    /// CASE, so that a large value is not even read from its TOAST table. The size of a `jsonb` is that of its
    /// stored form.
    private static func has(_ trace: Trace, _ column: CandidateColumn) -> String {
        let value = value(column)
        let size =
            column.form == .jsonb
            ? "pg_catalog.pg_column_size(s.\(SQLIdentifier.quoted(column.name)))"
            : "pg_catalog.octet_length(\(value))"
        let marks = trace == .member ? ["dek_wrapped", EnvelopeTrace.memberInHex] : [escape]
        let tests = marks.map { mark in
            column.form == .bytes
                ? "position(\(SQLLiteral.bytea(mark)) IN \(value)) > 0"
                : "position((\(text(mark)) COLLATE \"C\") IN (\(value) COLLATE \"C\")) > 0"
        }
        return "CASE WHEN \(size) <= \(largestValue) THEN \(tests.joined(separator: " OR ")) END"
    }

    private static let escape = "\\u"

    /// A backslash is written so that it means one whatever `standard_conforming_strings` says.
    private static func text(_ mark: String) -> String {
        mark == escape ? "(pg_catalog.chr(92) || 'u')" : SQLLiteral.text(mark)
    }
}
