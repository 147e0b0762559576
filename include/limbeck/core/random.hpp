#ifndef LIMBECK_CORE_RANDOM_HPP
#define LIMBECK_CORE_RANDOM_HPP

/// @file
/// Random numbers that depend on a seed and on nothing else: not on the standard library, not on the machine.

#include <limbeck/core/config.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// The generator of every random choice in the library: SplitMix64 (Steele, Lea and Flood, 2014), 8 bytes of state. It
/// is a uniform random bit generator, so the distributions of `<random>` take it; those here give the same
/// numbers everywhere.
class random_stream {
 public:
  using result_type = std::uint64_t;  ///< of a draw
  /// Streams of different seeds are unrelated, those of neighbouring seeds too.
  constexpr explicit random_stream(std::uint64_t seed = 0) : state_(seed) {}

  /// The least that a draw can be.
  static constexpr result_type(min)() { return 0; }
  /// The most that a draw can be.
  static constexpr result_type(max)() { return (std::numeric_limits<result_type>::max)(); }

  /// The next 64 bits.
  constexpr result_type operator()() {
    skip(1);
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  /// Moves on as @p n draws of 64 bits would, in one step: what lets every thread find its own place in one stream.
  constexpr void skip(std::uint64_t n) { state_ += n * 0x9e3779b97f4a7c15U; }
  /// Uniform in [0, 1).
  constexpr double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }
  /// Uniform in {0, ..., n - 1}, without bias; n > 0.
  constexpr std::size_t below(std::size_t n) {
    const std::uint64_t bound = static_cast<std::uint64_t>(n);
    const std::uint64_t unfair = (0 - bound) % bound;  // the numbers below it would favour small results
    std::uint64_t x = (*this)();
    while (x < unfair) x = (*this)();
    return static_cast<std::size_t>(x % bound);
  }
  /// Normal with mean 0 and variance 1 (Box and Muller, 1958); two draws a number.
  double normal() {
    const double u = 1.0 - uniform();  // (0, 1]
    const double v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925 * v);
  }
  /// Fisher and Yates: every order of @p x is as likely as any other.
  template <class Range>
  constexpr void shuffle(Range& x) {
    for (std::size_t i = x.size(); i > 1; --i) std::swap(x[i - 1], x[below(i)]);
  }
  /// A stream of its own for part @p index of the work.
  constexpr random_stream split(std::uint64_t index) const {
    random_stream child(state_ ^ (0xd1342543de82ef95U * (index + 1)));
    return random_stream(child());
  }
  /// Saves or restores the state.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("state", state_);
  }
  /// Whether the draws to come are the same.
  friend constexpr bool operator==(const random_stream&, const random_stream&) = default;

 private:
  std::uint64_t state_;
};

LIMBECK_END_NAMESPACE

#endif
