/// Key ids that follow each other as `keygen` names them: `kek-v1`, `kek-v2`; `kek`, `kek-v2`.
package enum KeySeries {
    /// Whether an id is an earlier one of the same series. A later one may be another application's.
    package static func isEarlier(_ id: String, than other: String) -> Bool {
        let (left, right) = (parts(id), parts(other))
        guard left.stem == right.stem else { return false }
        return (left.number.count, left.number) < (right.number.count, right.number)
    }

    /// The number without leading zeros, as text: its length has no bound. An id without one is the first.
    private static func parts(_ id: String) -> (stem: String, number: String) {
        let digits = id.reversed().prefix { $0.isASCII && $0.isNumber }.count
        if digits == 0 { return (id + "-v", "1") }
        return (String(id.dropLast(digits)), String(id.suffix(digits).drop { $0 == "0" }))
    }
}
