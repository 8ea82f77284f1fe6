// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Zeroed memory from mmap(2), taken whole at start; the kernel backs a page when it is first used.
struct MappedMemory: ~Copyable {
    /// The first byte, page-aligned.
    let base: UnsafeMutableRawPointer
    /// Its size in bytes.
    let count: Int

    /// Maps this many bytes.
    ///
    /// - Parameters:
    ///   - byteCount: at least 1.
    ///   - inHugePages: for memory that is used all over, however little of it: the kernel backs 2 MiB at a
    ///     time where it can (madvise(2), MADV_HUGEPAGE), instead of stopping the thread at each new page.
    /// - Throws: `SystemError` of mmap(2).
    init(byteCount: Int, inHugePages: Bool = false) throws(SystemError) {
        precondition(byteCount > 0)
        let mapped = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            -1, 0)
        guard let mapped, mapped != MAP_FAILED else {
            throw SystemError("mmap of \(byteCount) bytes", errno: errno)
        }
        if inHugePages { madvise(mapped, byteCount, MADV_HUGEPAGE) }
        base = mapped
        count = byteCount
    }

    /// Gives the pages back to the kernel: all is zero again, and backed again when it is used.
    func discard() {
        madvise(base, count, MADV_DONTNEED)
    }

    deinit {
        munmap(base, count)
    }
}

extension UnsafeMutablePointer where Pointee: BitwiseCopyable {
    /// Memory whose bits are all zero, which has to be a value; where it is large, the kernel backs a
    /// page when it is first used. `deallocate` gives it back.
    static func zeroed(count: Int) -> Self {
        guard let memory = calloc(count, MemoryLayout<Pointee>.stride) else {
            fatalError("calloc of \(count * MemoryLayout<Pointee>.stride) bytes")
        }
        return memory.bindMemory(to: Pointee.self, capacity: count)
    }
}
