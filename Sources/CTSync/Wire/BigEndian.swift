// SPDX-License-Identifier: GPL-2.0-or-later

/// Loads in network byte order; each traps past the span's end, so lengths are checked before.
extension RawSpan {
    /// The byte at an offset.
    @inline(__always)
    func byte(_ offset: Int) -> UInt8 {
        unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The number at an offset, which need not be aligned.
    @inline(__always)
    func big<Number: FixedWidthInteger & BitwiseCopyable>(
        _ offset: Int, as type: Number.Type = Number.self
    ) -> Number {
        Number(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}

/// Stores in network byte order; each traps past the span's end.
extension MutableRawSpan {
    /// Stores a byte.
    @inline(__always)
    mutating func setByte(_ offset: Int, _ value: UInt8) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    /// Stores a number at an offset, which need not be aligned.
    @inline(__always)
    mutating func setBig<Number: FixedWidthInteger & BitwiseCopyable>(
        _ offset: Int, _ value: Number
    ) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: Number.self)
    }
}
