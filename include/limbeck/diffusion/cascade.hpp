#ifndef LIMBECK_DIFFUSION_CASCADE_HPP
#define LIMBECK_DIFFUSION_CASCADE_HPP

/// @file
/// A student samples, a score judges, and the teacher makes again what is not good enough.

#include <limbeck/core/quantile.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/diffusion/condition_partition.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/target/fill.hpp>

#include <cmath>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// tau: the @p percent-th percentile of the scores of a student's samples on calibration conditions, between two scores in a straight line.
/// Of these samples `cascade` sends that share to the teacher, up to ties. O(n).
/// @param scores at least one, the higher the better; NaN is refused
/// @param percent in [0, 100]; 50 in the paper's code
/// @throws value_error where there is no score, one is NaN, or the percentage is out of range.
///
/// Starodubcev, Fedorov, Babenko and Baranchuk, Your Student is Better Than Expected: Adaptive Teacher-Student Collaboration for
/// Text-Conditional Diffusion Models, 2023, arXiv:2312.10835, by the authors' code.
template <class T>
double score_threshold(std::span<const T> scores, double percent) {
  if (scores.empty()) raise<value_error>("limbeck: scores is empty, expected a score of each calibration sample");
  if (!(percent >= 0 && percent <= 100)) raise<value_error>("limbeck: percent is " + detail::show(percent) + ", expected a number from 0 to 100");
  std::vector<double> all;
  for (std::size_t r = 0; r < scores.size(); ++r) {
    all.push_back(static_cast<double>(scores[r]));
    if (all.back() != all.back()) raise<value_error>("limbeck: scores is nan at row " + std::to_string(r));
  }
  return detail::quantile_in_place(std::span<double>(all), percent / 100);
}

/// x of a student, where its score is at least @p threshold, else what the teacher makes: `improve(x, which)` is called once with the rows
/// below, `rows<const T>`, and their numbers in the batch, and gives a tensor on the host of their shape. It refines them (`renoise`, then
/// any sampler) or makes others from their conditions. Changes @p samples in place, and gives the numbers of the rows that were made again.
/// @param samples the student's, samples x dimensions
/// @param improve the callable
/// @param scores one a row, the higher the better
/// @param threshold of `score_threshold`; -inf: the student always
/// @throws shape_error where sizes differ; value_error where a score or the threshold is NaN. Then no row has changed.
///
/// Starodubcev et al., 2023, arXiv:2312.10835.
template <class T, class Scores, class Improve>
std::vector<std::size_t> cascade(const rows<T>& samples, const Scores& scores, double threshold, Improve&& improve) {
  const any_vector s = detail::view_vector(scores);
  if (s.size() != samples.samples) detail::throw_length("scores", s.size(), samples.samples, "one a sample");
  if (threshold != threshold) raise<value_error>("limbeck: threshold of cascade is nan");
  std::vector<std::size_t> which;
  std::vector<std::remove_const_t<T>> poor;
  for (std::size_t r = 0; r < samples.samples; ++r) {
    const double q = s.number(r);
    if (q != q) raise<value_error>("limbeck: scores is nan at row " + std::to_string(r));
    if (q >= threshold) continue;
    which.push_back(r);
    for (std::size_t j = 0; j < samples.classes; ++j) poor.push_back(samples(r, j));
  }
  if (which.empty()) return which;
  auto&& better = improve(rows<const T>(poor.data(), which.size(), samples.classes), std::span<const std::size_t>(which));
  detail::put_rows(better, which, samples, "what improve gave to cascade");
  return which;
}

/// Samples noised to a share of a path, from where the teacher denoises again: time first + strength (last - first), by noise of each
/// row's own stream, `stream.split(which[r])`. To @p out. Gives that time.
///
/// Of discrete steps the authors' code (diffusers' image-to-image `strength`) schedules int(steps/strength + 1), so that about `steps` of them
/// lie below: 11 of 4 steps at 0.4.
/// @param path of the times
/// @param stream of the noise, not moved on
/// @param out where it is written
/// @param x samples x dimensions
/// @param which the number of each row, as `cascade` gives them
/// @param strength sigma, in [0, 1]; 0.4 in the paper's code. 1: what was sampled is lost, up to what signal the path's end leaves
/// @throws shape_error where sizes differ, value_error where the strength is out of range.
///
/// Starodubcev et al., 2023, arXiv:2312.10835; Meng et al., SDEdit, 2021, arXiv:2108.01073.
template <noise_path Path, class T>
double renoise(const Path& path, const rows<const T>& x, std::span<const std::size_t> which, double strength, const random_stream& stream,
                const std::type_identity_t<rows<T>>& out) {
  if (!(strength >= 0 && strength <= 1)) raise<value_error>("limbeck: strength is " + detail::show(strength) + ", expected a number from 0 to 1");
  if (which.size() != x.samples) detail::throw_length("which", which.size(), x.samples);
  std::vector<T> noise;
  for (const std::size_t r : which) {
    random_stream mine = stream.split(r);
    for (std::size_t j = 0; j < x.classes; ++j) noise.push_back(static_cast<T>(mine.normal()));
  }
  const double time = path.first() + strength * (path.last() - path.first());
  fill(noised(x, rows<const T>(noise.data(), x.samples, x.classes), levels(path, time)), out);
  return time;
}

LIMBECK_END_NAMESPACE

#endif
