import ArgumentParser

/// The exit codes of the contract.
enum ExitStatus {
    /// Configuration, connection, preflight.
    static let couldNotRun = ExitCode(1)
    /// Records remain or failed; nothing is lost.
    static let incomplete = ExitCode(2)
    static let usage = ExitCode(64)

    static func stopped(by signal: Int32) -> ExitCode {
        ExitCode(128 + signal)
    }
}
