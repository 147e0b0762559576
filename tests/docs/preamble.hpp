// What stands before every piece of code in the documents: a batch of 32 samples and 10 classes, an objective, and the
// names that the pages use. With DOCS_EIGEN, DOCS_XTENSOR, DOCS_THRUST or DOCS_TORCH the tensors are
// that library's.

#include <limbeck/limbeck.hpp>
#if defined(DOCS_EIGEN)
#include <limbeck/eigen.hpp>
#endif
#if defined(DOCS_XTENSOR)
#include <limbeck/xtensor.hpp>

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xview.hpp>
#endif
#endif
#if defined(DOCS_THRUST)
#include <limbeck/thrust.hpp>
#endif
#if defined(DOCS_TRAINER)
#include <limbeck/trainer.hpp>
#endif
#if defined(DOCS_IO)
#include <limbeck/io.hpp>
#endif
#if defined(DOCS_TORCH)
#include <limbeck/torch.hpp>
#include <torch/torch.h>
#endif
#if defined(DOCS_DLPACK)
#include <limbeck/dlpack.hpp>
#endif

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace lk = limbeck;

inline constexpr std::size_t samples = 32, classes = 10;
inline std::size_t step = 3, steps = 100;

/// The same numbers on every machine: a linear congruence, no distribution of the standard library.
inline std::vector<float> numbers(unsigned seed, float size) {
  std::vector<float> x(samples * classes);
  for (float& v : x) {
    seed = seed * 1664525u + 1013904223u;
    v = size * (static_cast<float>(seed >> 8) / 16777216.0f - 0.5f);
  }
  return x;
}
inline std::vector<float> student_memory = numbers(1, 8), teacher_memory = numbers(2, 8);
inline std::vector<float> gradient_memory(samples* classes);
inline std::vector<int> labels = [] {
  std::vector<int> y(samples);
  for (std::size_t r = 0; r < samples; ++r) y[r] = static_cast<int>(r % classes);
  return y;
}();

// Generated samples, noise, what two denoisers predict of them at times, and room for noised samples.
inline std::vector<float> x_memory = numbers(3, 2), e_memory = numbers(4, 2), real_memory = numbers(5, 2), fake_memory = numbers(6, 2);
inline std::vector<float> noised_memory(samples* classes);
inline const lk::rows<const float> x(x_memory.data(), samples, classes), e(e_memory.data(), samples, classes);
inline const lk::rows<const float> real_velocity(real_memory.data(), samples, classes), fake_velocity(fake_memory.data(), samples, classes);
inline const lk::rows<float> x_t(noised_memory.data(), samples, classes);
inline std::vector<double> times(samples, 0.6), early(samples, 0.3);

/// What decoding samples from: the next of four letters by the last one.
struct bigram {
  std::vector<float> logits;
  std::vector<float> out{};
  lk::rows<const float> operator()(std::span<const lk::prefix> requests) {
    out.clear();
    for (const lk::prefix& p : requests)
      for (const lk::token_id last : p.tokens.last(p.wanted))
        out.insert(out.end(), logits.begin() + 4 * last, logits.begin() + 4 * last + 4);
    return {out.data(), out.size() / 4, 4};
  }
};
inline bigram writer{{2, 1, 0, 0, 0, 1, 2, 1, 1, 0, 0, 2, 2, 2, 0, 1}}, tutor{{1, 2, 0, 0, 0, 0, 3, 1, 1, 0, 0, 3, 3, 1, 0, 0}};
inline const std::vector<std::vector<lk::token_id>> prompts{{1}, {2, 3, 1}, {2}};

#if defined(DOCS_EIGEN)
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
inline matrix student = Eigen::Map<matrix>(student_memory.data(), samples, classes);
inline matrix teacher = Eigen::Map<matrix>(teacher_memory.data(), samples, classes);
inline matrix gradient(samples, classes);
#elif defined(DOCS_XTENSOR)
inline xt::xtensor<float, 2> student({samples, classes}), teacher({samples, classes}), gradient({samples, classes});
#elif defined(DOCS_THRUST)
inline thrust::device_vector<float> student_on_device(student_memory.begin(), student_memory.end());
inline thrust::device_vector<float> teacher_on_device(teacher_memory.begin(), teacher_memory.end());
inline thrust::device_vector<float> gradient_on_device(samples* classes);
inline thrust::device_vector<int> labels_on_device(labels.begin(), labels.end());
#elif defined(DOCS_TORCH)
inline torch::Tensor student = torch::from_blob(student_memory.data(), {samples, classes}).clone().requires_grad_(true);
inline torch::Tensor teacher = torch::from_blob(teacher_memory.data(), {samples, classes});
inline torch::Tensor gradient = torch::empty({samples, classes});
#else
inline lk::rows<const float> student(student_memory.data(), samples, classes);
inline lk::rows<const float> teacher(teacher_memory.data(), samples, classes);
inline lk::rows<float> gradient(gradient_memory.data(), samples, classes);
#endif
#if !defined(DOCS_THRUST)
inline auto& s = student;
inline auto& t = teacher;
inline auto& g = gradient;
inline auto& student_logits = student;
inline auto& teacher_logits = teacher;
#endif
inline auto& y = labels;

inline lk::workspace ws;
inline lk::workspace& workspace = ws;
inline const auto objective = 0.1 * lk::cross_entropy{} + 0.9 * lk::at_temperature(4.0, lk::forward_kl{});
