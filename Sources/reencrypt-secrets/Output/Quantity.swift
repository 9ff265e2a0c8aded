/// Numbers for people.
enum Quantity {
    /// `1,234,567`.
    static func grouped(_ number: Int) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + text
    }

    /// `42 s`, `3 min 20 s`, `5 h 12 min`.
    static func duration(_ duration: Duration) -> String {
        let seconds = Int(min(max(0, (duration / .seconds(1)).rounded(.up)), 1e15))
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 3_600 { return "\(seconds / 60) min \(seconds % 60) s" }
        return "\(seconds / 3_600) h \(seconds % 3_600 / 60) min"
    }

    /// `12.5 %`, from 0 to 1.
    static func percent(_ fraction: Double) -> String {
        let tenths = Int(min(1, max(0, fraction)) * 1_000)
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
