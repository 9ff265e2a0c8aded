package import Foundation
import Synchronization

/// A folder that goes with this object, or at the end of the process where the object stays that long.
package final class TemporaryFolder: Sendable {
    package let url: URL
    package var path: String { url.path }

    package init(_ purpose: String) throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "reencrypt-\(purpose)-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        _ = Self.removesTheRestAtExit
        Self.present.withLock { _ = $0.insert(url) }
    }

    deinit {
        Self.present.withLock { _ = $0.remove(url) }
        Self.remove(url)
    }

    private static let present = Mutex<Set<URL>>([])
    private static let removesTheRestAtExit = atexit {
        TemporaryFolder.present.withLock { folders in folders.forEach(TemporaryFolder.remove) }
    }

    private static func remove(_ url: URL) {
        do {
            try FileManager.default.removeItem(at: url)
        } catch {
            print("\(url.path) stays behind: \(error)")
        }
    }
}

/// Runs `body` with the path of a folder that is gone at the end.
package func withTemporaryFolder<R>(_ body: (String) throws -> R) throws -> R {
    let folder = try TemporaryFolder("test")
    return try withExtendedLifetime(folder) { try body(folder.path) }
}
