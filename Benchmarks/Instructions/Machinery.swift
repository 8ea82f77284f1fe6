// SPDX-License-Identifier: GPL-2.0-or-later

/// Where callgrind begins to count: it is told this name (`run`).
@_optimize(none) @inline(never)
func countBegin() {}

/// Where it stops, and writes down what it has counted.
@_optimize(none) @inline(never)
func countEnd() {}

/// Runs a piece of the data path so often between the two; prints its name and how often, which is
/// all that `run` needs besides callgrind's counts.
///
/// - Parameter items: events, messages or requests that one call of the body takes.
func count(_ name: String, times: Int = 5, items: Int, _ body: () -> Void) {
    // What is done once only is not counted.
    body()
    countBegin()
    for _ in 0..<times { body() }
    countEnd()
    print(name, times * items)
}
