/// The version that reports and `--version` show.
enum ToolVersion {
    static let current = "0.1.0"
}
