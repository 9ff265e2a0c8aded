import Redis

/// The queue's transitions. Each is one Lua script in a file of its own, which says what it takes and gives;
/// a prelude that they share stands in front.
enum QueueScripts {
    static let lead = script("lead", PackageResources.lead_lua)
    static let beginJob = script("begin_job", PackageResources.begin_job_lua)
    static let beginSweep = script("begin_sweep", PackageResources.begin_sweep_lua)
    static let enqueue = script("enqueue", PackageResources.enqueue_lua)
    static let claim = script("claim", PackageResources.claim_lua)
    static let heartbeat = script("heartbeat", PackageResources.heartbeat_lua)
    static let retireWorker = script("retire_worker", PackageResources.retire_worker_lua)
    static let acknowledge = script("acknowledge", PackageResources.acknowledge_lua)
    static let handBack = script("hand_back", PackageResources.hand_back_lua)
    static let split = script("split", PackageResources.split_lua)
    static let bury = script("bury", PackageResources.bury_lua)
    static let retryFailures = script("retry_failures", PackageResources.retry_failures_lua)
    static let control = script("control", PackageResources.control_lua)
    static let pace = script("pace", PackageResources.pace_lua)
    static let tick = script("tick", PackageResources.tick_lua)
    static let census = script("census", PackageResources.census_lua)
    static let finishJob = script("finish_job", PackageResources.finish_job_lua)

    private static let prelude = String(decoding: PackageResources.prelude_lua, as: UTF8.self)

    private static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: prelude + String(decoding: source, as: UTF8.self))
    }
}
