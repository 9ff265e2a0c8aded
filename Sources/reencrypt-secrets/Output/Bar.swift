/// A share as a bar of characters: `████······`.
enum Bar {
    /// - Parameters:
    ///   - fraction: 0 to 1; only what is whole is drawn full.
    ///   - room: characters.
    static func text(_ fraction: Double, room: Int) -> String {
        let filled = Int(Double(room) * min(1, max(0, fraction)))
        return String(repeating: "█", count: filled) + String(repeating: "·", count: room - filled)
    }
}
