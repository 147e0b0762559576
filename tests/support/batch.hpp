#ifndef LIMBECK_TESTS_SUPPORT_BATCH_HPP
#define LIMBECK_TESTS_SUPPORT_BATCH_HPP

// Random rows over plain memory, for any test.

#include <limbeck/core/rows.hpp>

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace limbeck_test {

template <class T>
struct batch {
  std::size_t samples = 0, classes = 0;
  std::vector<T> student, teacher;
  std::vector<int> labels;

  limbeck::rows<const T> s() const { return {student.data(), samples, classes}; }
  limbeck::rows<const T> t() const { return {teacher.data(), samples, classes}; }
  std::size_t size() const { return samples * classes; }
};

/// Normal logits of standard deviation @p scale. The teacher's are the student's and @p apart of noise; a
/// negative @p apart gives a teacher of its own.
template <class T>
batch<T> random_batch(std::size_t samples, std::size_t classes, std::uint32_t seed = 1, double scale = 2,
                      double apart = -1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  batch<T> b{samples, classes, std::vector<T>(samples * classes), std::vector<T>(samples * classes),
             std::vector<int>(samples)};
  for (T& x : b.student) x = static_cast<T>(scale * normal(random));
  for (std::size_t i = 0; i < b.size(); ++i)
    b.teacher[i] =
        static_cast<T>(apart < 0 ? scale * normal(random) : static_cast<double>(b.student[i]) + apart * normal(random));
  for (int& y : b.labels) y = static_cast<int>(random() % classes);
  return b;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
inline bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();

}  // namespace limbeck_test

#endif
