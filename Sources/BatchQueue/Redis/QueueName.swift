/// The name of a queue: `[A-Za-z0-9._-]{1,64}`. All its keys share one hash tag, so it lives in one slot.
package struct QueueName: Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init?(_ text: String) {
        let isAllowed = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isAllowed, (1...64).contains(text.utf8.count) else { return nil }
        description = text
    }

    /// A name that is known to be well formed.
    package init(unchecked name: String) {
        description = name
    }

    /// A key of this queue.
    package func key(_ name: String) -> String { "reencrypt:{\(description)}:\(name)" }
}
