package import Catalog

/// A column that the catalog lists under `ignore:`, with what a look into it found. It is out of the census, so what
/// is in it is stated, and values under one of our own keys speak against a verdict: `ignore:` is for what is not ours.
package struct IgnoredColumn: Sendable, Hashable {
    package let column: QualifiedColumn
    /// Nil where nothing was found, or there is no such column.
    package internal(set) var finding: CoverageFinding?

    package init(_ column: QualifiedColumn, finding: CoverageFinding? = nil) {
        self.column = column
        self.finding = finding
    }

    /// `schema.table.column` with quotes where SQL's syntax needs them.
    package var place: String { CatalogName.dotted([column.schema, column.table, column.column]) }

    /// What is in it, for a list of what was not counted.
    package var sentence: String {
        let keys = finding.map { $0.keyIDs.joined(separator: ", ") } ?? ""
        return switch finding?.reason {
        case .envelopes: "\(place), which holds envelopes under \(keys)"
        case .embedded:
            "\(place), which holds envelopes inside larger values"
                + (keys.isEmpty ? "" : " under \(keys)")
        case .notLookedAt(let why): "\(place), which could not be looked at: \(why)"
        case .name, nil: "\(place), in which no envelope was seen"
        }
    }

    /// What speaks against a verdict: envelopes under a key of ours that is not the target.
    /// - Parameter retired: ids of our former keys, as far as they are known. An earlier id of the target's series
    ///   is ours as well, since the runbook takes retired keys out of the settings.
    package func objection(target: String, retired: Set<String>) -> String? {
        guard let finding else { return nil }
        let ours = finding.keyIDs.filter {
            $0 != target && (retired.contains($0) || KeySeries.isEarlier($0, than: target))
        }
        switch finding.reason {
        // Large objects and the system catalogs are no columns that a catalog could list.
        case .envelopes where !ours.isEmpty && !finding.objects.isEmpty:
            return
                "\(place) holds envelopes under \(ours.joined(separator: ", ")) and is listed under ignore:, which is for what is not ours: change or drop \(finding.objects.prefix(5).joined(separator: ", "))."
        case .envelopes where !ours.isEmpty:
            return
                "\(place) holds envelopes under \(ours.joined(separator: ", ")) and is listed under ignore:, which is for what is not ours: move it to the catalog's tables."
        case .embedded where !ours.isEmpty:
            return
                "\(place) holds envelopes under \(ours.joined(separator: ", ")) inside larger values and is listed under ignore:, which is for what is not ours: delete or rewrite them."
        case .envelopes where finding.keyIDs.isEmpty, .embedded where finding.keyIDs.isEmpty:
            return
                "\(place) holds envelopes inside larger values, is listed under ignore:, and does not show under which keys they are: delete or rewrite them."
        case .envelopes, .embedded, .name, .notLookedAt:
            return nil
        }
    }
}
