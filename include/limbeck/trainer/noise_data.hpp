#ifndef LIMBECK_TRAINER_NOISE_DATA_HPP
#define LIMBECK_TRAINER_NOISE_DATA_HPP

/// @file
/// Noise as data for the trainer: what a generator is trained on.

#include <limbeck/diffusion/times.hpp>
#include <limbeck/trainer/drawn.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Samples on the host, with their times and conditions where they have some: what a generator or a denoiser takes.
template <class T>
struct sample_batch {
  std::size_t dimensions = 0;      ///< of a sample
  std::vector<T> values{};         ///< samples x dimensions, one after the other
  std::vector<double> times{};     ///< one a sample, or empty
  std::vector<int> conditions{};   ///< one a sample, or empty
  /// How many samples.
  std::size_t size() const { return dimensions == 0 ? 0 : values.size() / dimensions; }
  /// The samples, a view: of a batch that is kept.
  limbeck::rows<const T> rows() const { return {values.data(), size(), dimensions}; }
};

/// What a step of a generator draws, @p Timed with what its samples are noised by.
template <class T, bool Timed = true>
struct noise_batch {
  sample_batch<T> inputs{};  ///< z, for the generator, and the conditions
};
/// The same, with times and noise.
template <class T>
struct noise_batch<T, true> {
  sample_batch<T> inputs{};     ///< z, for the generator, and the conditions
  std::vector<double> times{};  ///< t, one a row: to which level what it gives is noised
  std::vector<T> noise{};       ///< e, as `inputs`: by what
  /// e, a view: of a batch that is kept.
  limbeck::rows<const T> noise_rows() const { return {noise.data(), inputs.size(), inputs.dimensions}; }
};

/// Of what `noise_data` draws.
struct noise_settings {
  std::size_t dimensions = 1;     ///< of a sample, at least 1
  std::size_t rows = 1024;        ///< of an epoch, where there are no conditions
  std::vector<int> conditions{};  ///< one a row of an epoch, each of which has them all once; empty: none
};

/// @cond
namespace detail {
/// In the place of what draws times.
struct no_times {};
}  // namespace detail
/// @endcond

/// A data source of draws of the normal distribution, in each step new ones.
///
///     lk::noise_data<float> noise({.dimensions = 64, .conditions = labels});
///     auto timed = lk::noise_with_times<float>({.dimensions = 64}, [](lk::random_stream& r) { return 0.02 + 0.96 * r.uniform(); });
///
/// Row r of step k of a run is drawn by the seed, k and r alone: a run that is resumed draws the same, and so do micro-batches. z, t and e
/// have streams of their own: z is the same with and without times. Row r of a source that no step has drawn from is always the same:
/// validate on one of its own.
/// @p T is float or double. On the host: O(dimensions) a row.
template <class T, class Times = detail::no_times>
class noise_data {
  static constexpr bool has_times = !std::is_same_v<Times, detail::no_times>;
  static constexpr bool by_quantile = requires(const Times& t) {
    { t.quantile(0.5) } -> std::convertible_to<double>;
  };

 public:
  /// z and conditions; no times.
  /// @throws value_error where there are no dimensions or no rows.
  explicit noise_data(noise_settings settings)
    requires(!has_times)
      : noise_data(std::move(settings), {}) {}
  /// @param settings its settings
  /// @param times a callable of a `random_stream&`, which gives a time; or a distribution with `quantile(u)`, u in (0, 1)
  noise_data(noise_settings settings, Times times) : settings_(std::move(settings)), times_(std::move(times)) {
    static_assert(!has_times || by_quantile || requires(Times& t, random_stream& r) { { t(r) } -> std::convertible_to<double>; },
                  "limbeck: the times of noise_data are a callable of a random_stream& that gives a time, or have quantile(u)");
    if (settings_.dimensions == 0) raise<value_error>("limbeck: dimensions of noise_data is 0, expected at least 1");
    if (!settings_.conditions.empty()) settings_.rows = settings_.conditions.size();
    if (settings_.rows == 0) raise<value_error>("limbeck: rows of noise_data is 0, expected at least 1");
  }
  /// Rows of an epoch.
  std::size_t size() const { return settings_.rows; }
  /// @cond
  void prepare(std::span<const std::size_t>, const draw_request& request) { of_the_step_ = request.random; }
  /// @endcond
  /// These rows of the step.
  noise_batch<T, has_times> batch(std::span<const std::size_t> rows) {
    noise_batch<T, has_times> b;
    b.inputs.dimensions = settings_.dimensions;
    for (const std::size_t r : rows) {
      const random_stream mine = of_the_step_.split(noise_stream).split(r);
      draw(mine.split(0), b.inputs.values);
      if (!settings_.conditions.empty()) b.inputs.conditions.push_back(settings_.conditions[r]);
      if constexpr (has_times) {
        random_stream own = mine.split(1);
        if constexpr (by_quantile) {
          b.times.push_back(static_cast<double>(times_.quantile(detail::inside_unit(own.uniform()))));
        } else {
          b.times.push_back(static_cast<double>(times_(own)));
        }
        draw(mine.split(2), b.noise);
      }
    }
    return b;
  }
  /// @cond
  std::string describe() const {
    std::string text = "noise_data of " + std::to_string(settings_.dimensions) + " dimensions, conditions " + detail::digest_of(settings_.conditions);
    if constexpr (has_times) text += ", times " + detail::described(times_);
    return text;
  }
  /// @endcond

 private:
  static constexpr std::uint64_t noise_stream = 0x6e6f697365;  // no sampler of rows splits so
  void draw(random_stream random, std::vector<T>& to) const {
    for (std::size_t j = 0; j < settings_.dimensions; ++j) to.push_back(static_cast<T>(random.normal()));
  }
  noise_settings settings_;
  Times times_;
  random_stream of_the_step_{0};
};
/// The same, of numbers of type @p T; the type of the times is deduced.
template <class T, class Times>
noise_data<T, Times> noise_with_times(noise_settings settings, Times times) {
  return {std::move(settings), std::move(times)};
}

LIMBECK_END_NAMESPACE

#endif
