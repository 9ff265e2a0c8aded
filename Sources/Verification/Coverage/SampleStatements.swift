import Catalog

/// The SQL that looks into a relation's columns for envelopes, at a bounded cost whatever its size.
///
/// Read are the whole of a small relation; of a larger one its first and last blocks, where a column that came
/// later is filled first, and blocks drawn at random between. Of values beyond a size, a few are read.
///
/// The server sorts out what can be no envelope: a legal one names `dek_wrapped` in plain letters, or has an
/// escape (`\u`) somewhere. A value that holds those letters in hex or in base64 is an image of another one.
struct SampleStatements {
    /// 2 MB: read whole.
    static let wholeUpTo = 256
    private static let blocksAtEachEnd = 32
    private static let blocksDrawn = 192
    /// Of a relation that is no heap: blocks mean nothing there.
    private static let rowsOfOthers = 20_000
    /// An envelope of a secret of 48 KB.
    private static let largestValue = 65_536
    /// A large value that is read all the same, and how many of them.
    private static let largestRead = 8_388_608
    private static let largeOnesRead = 8
    /// Values of a column that are fetched and parsed, and how much of each: a value is larger than it is stored where
    /// it was compressed.
    private static let fetched = 200
    static let fetchedBytes = 262_144

    /// Why a value is worth parsing.
    enum Trace: CaseIterable {
        /// It spells `dek_wrapped`: in plain letters, in hex or in base64.
        case member
        /// It holds an escape, which may stand for any letter.
        case escape
        /// It is larger than an envelope usually is.
        case large
    }

    private let relation: String
    private let columns: [CandidateColumn]
    private let isHeap: Bool
    private let blocks: Int
    /// Draws the same blocks in each statement.
    private let seed: UInt16

    /// - Precondition: the columns are of one relation, not none.
    init(_ columns: [CandidateColumn], blocks: Int, seed: UInt16) {
        relation = columns.first?.sqlName ?? ""
        isHeap = columns.allSatisfy(\.isHeap)
        self.columns = columns
        self.blocks = blocks
        self.seed = seed
    }

    /// How many blocks a relation has.
    static let blockCount =
        "SELECT pg_catalog.pg_relation_size($1) / pg_catalog.current_setting('block_size')::bigint"

    /// For each column and each trace, in how many values of the sample it is.
    var traces: String {
        let counts = columns.flatMap { column in
            Trace.allCases.map { "pg_catalog.count(*) FILTER (WHERE \(Self.has($0, column)))" }
        }
        return "SELECT \(counts.joined(separator: ", ")) FROM \(sample(columns)) AS s"
    }

    /// Values of a column that have a trace. Those with escapes, which may be many, crowd out no others. Of large
    /// ones, those that spell `dek_wrapped`, as far as the size that others have.
    func values(of column: CandidateColumn, with trace: Trace) -> String {
        let from = "FROM \(sample([column])) AS s WHERE \(Self.has(trace, column))"
        guard trace == .large else {
            return
                "SELECT pg_catalog.substr(\(Self.value(column)), 1, \(Self.fetchedBytes)) \(from) LIMIT \(Self.fetched)"
        }
        let marks = Self.spells(Self.members, "l.value", isBytes: column.form == .bytes)
        return """
            SELECT pg_catalog.substr(l.value, 1, \(Self.largestValue)) \
            FROM (SELECT \(Self.value(column)) AS value \(from) LIMIT \(Self.largeOnesRead)) AS l WHERE \(marks)
            """
    }

    private func sample(_ columns: [CandidateColumn]) -> String {
        let names = columns.map { "t.\(SQLIdentifier.quoted($0.name))" }.joined(separator: ", ")
        let select = "SELECT \(names) FROM ONLY \(relation) AS t"
        guard isHeap else { return "(\(select) LIMIT \(Self.rowsOfOthers))" }
        if blocks <= Self.wholeUpTo { return "(\(select))" }
        let percent = Double(Self.blocksDrawn) * 100 / Double(blocks)
        return """
            (\(select) WHERE t.ctid < '(\(Self.blocksAtEachEnd),0)'::tid \
            UNION ALL \(select) WHERE t.ctid >= '(\(blocks - Self.blocksAtEachEnd),0)'::tid \
            UNION ALL \(select) TABLESAMPLE SYSTEM (\(percent)) REPEATABLE (\(seed)))
            """
    }

    /// Bytes for `bytea`, text for all others. `concat` calls the type's own output function; a cast might be a
    /// function of anybody's.
    private static func value(_ column: CandidateColumn) -> String {
        let name = "s.\(SQLIdentifier.quoted(column.name))"
        return switch column.form {
        case .bytes: "\(name)::bytea"
        case .text, .jsonb: "\(name)::text"
        case .other: "CASE WHEN \(name) IS DISTINCT FROM NULL THEN pg_catalog.concat(\(name)) END"
        }
    }

    /// CASE, so that a large value is not even read from its TOAST table. The size of a value that has to be written
    /// out first is that of its stored form.
    private static func has(_ trace: Trace, _ column: CandidateColumn) -> String {
        let value = value(column)
        let size =
            switch column.form {
            case .bytes, .text: "pg_catalog.octet_length(\(value))"
            case .jsonb, .other: "pg_catalog.pg_column_size(s.\(SQLIdentifier.quoted(column.name)))"
            }
        let isBytes = column.form == .bytes
        switch trace {
        case .large: return "\(size) > \(largestValue) AND \(size) <= \(largestRead)"
        case .member:
            return "CASE WHEN \(size) <= \(largestValue) THEN \(spells(members, value, isBytes: isBytes)) END"
        case .escape:
            // An array of bytes has it in hex.
            let marks = column.form == .other ? [escape, "5c75"] : [escape]
            return "CASE WHEN \(size) <= \(largestValue) THEN \(spells(marks, value, isBytes: isBytes)) END"
        }
    }

    static let members = ["dek_wrapped", EnvelopeTrace.memberInHex] + EnvelopeTrace.marksInBase64

    /// Whether a value holds one of the marks.
    static func spells(_ marks: [String], _ value: String, isBytes: Bool) -> String {
        let tests = marks.map { mark in
            isBytes
                ? "pg_catalog.position(\(value), pg_catalog.\(SQLLiteral.bytea(mark))) > 0"
                : "pg_catalog.position((\(value)) COLLATE pg_catalog.\"C\", (\(text(mark))) COLLATE pg_catalog.\"C\") > 0"
        }
        return "(" + tests.joined(separator: " OR ") + ")"
    }

    private static let escape = "\\u"

    /// A backslash is written so that it means one whatever `standard_conforming_strings` says.
    private static func text(_ mark: String) -> String {
        mark == escape ? "pg_catalog.concat(pg_catalog.chr(92), 'u')" : SQLLiteral.text(mark) + "::text"
    }
}
