import TestSupport
import Testing

@testable import Verification

@Suite("Nonces that stand twice are found in bounded memory")
struct NonceLedgerTests {
    private func ledger(_ nonces: some Sequence<UInt64>, capacity: Int = 1_000) -> NonceLedger {
        var ledger = NonceLedger(capacity: capacity)
        for nonce in nonces { ledger.add(nonce) }
        return ledger
    }

    /// Nonces are random: a fixed permutation of the counter serves as them.
    private func random(_ numbers: Range<UInt64>) -> [UInt64] {
        numbers.map { number in
            var generator = SeededGenerator(seed: number)
            return generator.next()
        }
    }

    @Test func differentNoncesGiveNothing() {
        let found = NonceLedger.repeated(in: [ledger(random(0..<500)), ledger(random(500..<900))])
        #expect(found.nonces.isEmpty)
        #expect(found.coveredFraction == 1)
    }

    @Test func noLedgerCoversNothing() {
        #expect(NonceLedger.repeated(in: []).coveredFraction == 0)
    }

    @Test func aNonceIsFoundInOneLedgerAndAcrossTwo() {
        let found = NonceLedger.repeated(in: [ledger([7, 8, 7]), ledger([9, 8])])
        #expect(found.nonces == [7, 8])
    }

    @Test func tooManyLeaveAPartThatIsCoveredWhole() {
        let nonces = random(0..<100_000)
        let full = ledger(nonces + nonces)
        let found = NonceLedger.repeated(in: [full])
        #expect(found.coveredFraction < 0.05)
        #expect(found.coveredFraction > 0.001)
        #expect(found.nonces == Set(nonces.filter { full.covers($0) }))
    }

    @Test func aNonceThatStandsOftenCostsNoCoverage() {
        let nonce = UInt64.max
        let found = NonceLedger.repeated(in: [ledger(repeatElement(nonce, count: 100_000))])
        #expect(found.nonces == [nonce])
        #expect(found.coveredFraction == 1)
    }

    @Test func ledgersOfDifferentCoverageMeetInTheSmallerOne() {
        let nonces = random(0..<10_000)
        let found = NonceLedger.repeated(in: [ledger(nonces), ledger(nonces.prefix(300))])
        let small = ledger(nonces)
        #expect(found.nonces == Set(nonces.prefix(300).filter { small.covers($0) }))
    }
}
