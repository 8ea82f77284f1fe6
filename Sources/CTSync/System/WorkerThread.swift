// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// A POSIX thread with a name, joined exactly once.
struct WorkerThread: ~Copyable {
    private let thread: pthread_t

    private final class Start {
        let name: String
        let body: () -> Void
        init(name: String, body: sending @escaping () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: at most 15 characters, as `ps -L` and `top -H` show it.
    ///   - body: what it runs; the thread ends with it.
    /// - Throws: `SystemError` of pthread_create(3).
    init(named name: String, _ body: sending @escaping () -> Void) throws(SystemError) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, Self.main, start.toOpaque())
        guard result == 0 else {
            start.release()
            throw SystemError("pthread_create \(name)", errno: result)
        }
        self.thread = thread
    }

    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
        { argument in
            guard let argument else { return nil }
            let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
            ctsync_set_thread_name(start.name)
            start.body()
            return nil
        }

    /// Waits for its end.
    consuming func join() {
        pthread_join(thread, nil)
    }
}

/// Carries a value that only one thread uses into that thread.
struct SendableBox<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}
