import FoundationEssentials
import Verification

/// What `catalog discover` prints.
enum DiscoveryOutput {
    static func text(_ coverage: Coverage, _ keys: [CatalogProposal.Table: TableKey]) -> String {
        var text = "Looked at \(Quantity.grouped(coverage.columns)) columns of "
        text += "\(Quantity.grouped(coverage.relations)) relations outside the catalog.\n"
        if let objects = coverage.largeObjects {
            text +=
                "Looked at \(Quantity.grouped(objects.looked)) of \(Quantity.grouped(objects.all)) large objects.\n"
        }
        for table in coverage.foreignTables {
            text += "Not looked at: \(table) is a foreign table; its rows are in another database.\n"
        }
        if coverage.findings.isEmpty {
            return text + "Nothing that looks encrypted is outside the catalog.\n"
        }
        text += "\n" + coverage.findings.map { "\($0.sentence)\n" }.joined()
        let yaml = CatalogProposal(coverage.findings, keys: keys).yaml
        return text + "\nFor the catalog:\n\n" + yaml
    }

    static func json(_ coverage: Coverage) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(CoverageSection(coverage)), as: UTF8.self) + "\n"
    }
}
