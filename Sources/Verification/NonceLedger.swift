/// Remembers nonces to find the same one in two values, in bounded memory.
///
/// Eight bytes of each are kept. Nonces are random, so once there are too many, those that begin with a zero
/// bit stand for all: the ledger then covers half of all nonces, each of them in every value; and so on.
struct NonceLedger: Sendable {
    /// 32 MiB a ledger; a lane has one.
    static let capacity = 4_194_304

    private let capacity: Int
    private var kept: [UInt64] = []
    /// How many leading bits of a kept nonce are zero.
    private(set) var zeroBits = 0

    init(capacity: Int = Self.capacity) {
        self.capacity = capacity
    }

    var coveredFraction: Double { 1 / Double(UInt64(1) << UInt64(zeroBits)) }

    @inline(__always)
    func covers(_ nonce: UInt64) -> Bool { nonce.leadingZeroBitCount >= zeroBits }

    @inline(__always)
    mutating func add(_ nonce: UInt64) {
        guard covers(nonce) else { return }
        if kept.count >= capacity { makeRoom() }
        if covers(nonce) { kept.append(nonce) }
    }

    /// Makes room: of a nonce that stands often two are enough, and then half of all nonces.
    private mutating func makeRoom() {
        kept.sort()
        var count = 0
        for nonce in kept where count < 2 || kept[count - 2] != nonce {
            kept[count] = nonce
            count += 1
        }
        kept.removeLast(kept.count - count)
        while kept.count > capacity / 2, zeroBits < 63 {
            zeroBits += 1
            let bits = zeroBits
            kept.removeAll { $0.leadingZeroBitCount < bits }
        }
    }

    /// The nonces that stand in two ledgers, or twice in one, and the part of all nonces that was compared.
    static func repeated(in ledgers: [NonceLedger]) -> (nonces: Set<UInt64>, coveredFraction: Double) {
        guard let least = ledgers.max(by: { $0.zeroBits < $1.zeroBits }) else { return ([], 0) }
        let all = ledgers.flatMap { ledger in ledger.kept.filter { least.covers($0) } }
        return (repeated(in: all), least.coveredFraction)
    }

    private static func repeated(in nonces: [UInt64]) -> Set<UInt64> {
        let sorted = nonces.sorted()
        return Set(zip(sorted, sorted.dropFirst()).lazy.filter { $0 == $1 }.map { $0.0 })
    }
}
