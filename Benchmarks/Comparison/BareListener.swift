// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import CTSync
import ClusterSupport
import Glibc
import Synchronization

/// The floor: somebody who takes every event from the kernel and does nothing with it.
///
/// 64 events a system call; after them it waits for the next, or pauses first.
final class BareListener: Sendable {
    private let running = Box(Atomic(true))
    private let taken = Box(Atomic<UInt64>(0))
    private let processor = Box(Atomic<UInt64>(0))
    private let failed = Box(Mutex<(any Error)?>(nil))
    private let thread: Background

    init(in host: Namespace, pauseMicroseconds: Int) throws {
        let (running, taken, processor, failed) = (running, taken, processor, failed)
        let ready = Box(Atomic(false))
        thread = Background(named: "bare") {
            do {
                try host.inside {
                    let events = try EventSocket(receiveBufferBytes: 32 << 20)
                    ready.value.store(true, ordering: .releasing)
                    Self.listen(
                        events.raw, pause: Int64(pauseMicroseconds) * 1_000, running, taken,
                        processor)
                }
            } catch {
                failed.value.withLock { $0 = error }
            }
        }
        try eventually("a bare listener") { [failed] in
            if let error = failed.value.withLock({ $0 }) { throw error }
            return ready.value.load(ordering: .acquiring)
        }
    }

    /// Events taken.
    var events: UInt64 { taken.value.load(ordering: .relaxed) }
    /// Its processor time, as of the last event.
    var nanoseconds: UInt64 { processor.value.load(ordering: .relaxed) }

    func stop() {
        running.value.store(false, ordering: .relaxed)
        thread.join()
    }

    private static func listen(
        _ descriptor: CInt, pause: Int64, _ running: Box<Atomic<Bool>>,
        _ taken: Box<Atomic<UInt64>>, _ processor: Box<Atomic<UInt64>>
    ) {
        let (count, byteCount) = (64, 2_048 + 64)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: count * byteCount, alignment: 64)
        let vectors = UnsafeMutablePointer<iovec>.allocate(capacity: count)
        let headers = UnsafeMutablePointer<ctsync_mmsghdr>.allocate(capacity: count)
        defer {
            memory.deallocate()
            vectors.deallocate()
            headers.deallocate()
        }
        for index in 0..<count {
            vectors[index] = iovec(iov_base: memory + index * byteCount, iov_len: byteCount)
            headers[index] = ctsync_mmsghdr()
            headers[index].header.msg_iov = vectors + index
            headers[index].header.msg_iovlen = 1
        }
        while running.value.load(ordering: .relaxed) {
            guard ctsync_wait(descriptor, -1, 100_000_000) != 0 else { continue }
            var received: CInt
            repeat {
                received = ctsync_recvmmsg(descriptor, headers, UInt32(count))
                taken.value.wrappingAdd(UInt64(max(received, 0)), ordering: .relaxed)
            } while received == CInt(count)
            processor.value.store(Measures.threadNanoseconds(), ordering: .relaxed)
            if pause > 0 { _ = ctsync_wait(-1, -1, pause) }
        }
    }
}
