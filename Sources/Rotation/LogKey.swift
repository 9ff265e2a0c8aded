/// The names of log metadata, in one place.
package enum LogKey {
    package static let table = "table"
    package static let batchSequence = "batch.sequence"
    package static let reason = "reason"
    package static let checkValue = "key.check_value"
    package static let attempt = "attempt"
    package static let seconds = "duration.seconds"
}
