// Whether the thread sanitizer sees what it should: a counter under a Mutex, and with the argument `race` one beside it.
import Dispatch
import Synchronization

final class Counters: Sendable {
    let kept = Mutex(0)
    nonisolated(unsafe) var loose = 0
}

let counters = Counters()
let races = CommandLine.arguments.contains("race")
DispatchQueue.concurrentPerform(iterations: 4) { _ in
    for _ in 0..<10_000 {
        counters.kept.withLock { $0 += 1 }
        if races { counters.loose += 1 }
    }
}
