extension Sequence<UInt8> {
    /// Two lower-case digits a byte.
    package var hex: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
