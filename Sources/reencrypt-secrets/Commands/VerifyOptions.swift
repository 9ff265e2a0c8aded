import ArgumentParser
import Verification

extension Depth: ExpressibleByArgument {}

/// A length of time on the command line: `90`, `90s`, `10m`, `2h`, `500ms`.
struct DurationArgument: ExpressibleByArgument {
    let duration: Duration

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        // Bounded, so that no arithmetic on it overflows: ten years are enough.
        guard let number = Int64(digits), number <= 315_360_000 else { return nil }
        switch argument.dropFirst(digits.count) {
        case "ms": duration = .milliseconds(number)
        case "", "s": duration = .seconds(number)
        case "m", "min": duration = .seconds(number * 60)
        case "h": duration = .seconds(number * 3_600)
        default: return nil
        }
    }
}

/// A share in percent: `1%`, `0.5%`, `10`; more than 0, less than 100.
struct PercentArgument: ExpressibleByArgument {
    let percent: Double

    init?(argument: String) {
        let number = argument.hasSuffix("%") ? argument.dropLast() : argument[...]
        guard let percent = Double(number), percent >= 0.0001, percent < 100 else { return nil }
        self.percent = percent
    }
}
