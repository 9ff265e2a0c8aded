package import BatchQueue

/// Is told what a person wants to see while a job runs. Called from several tasks.
package protocol RotationObserver: Sendable {
    func progressed(_ reading: ProgressMeter.Reading)
    func failed(_ failure: RecordFailure)
}
