import Redis

/// A script that a worker runs, for whoever watches how long Redis takes for it.
package enum WorkerScript: String, Sendable, CaseIterable {
    case claim
    case acknowledge
    case handBack = "hand_back"
    case split
    case bury
    case heartbeat

    var script: RedisScript {
        switch self {
        case .claim: QueueScripts.claim
        case .acknowledge: QueueScripts.acknowledge
        case .handBack: QueueScripts.handBack
        case .split: QueueScripts.split
        case .bury: QueueScripts.bury
        case .heartbeat: QueueScripts.heartbeat
        }
    }
}
