// Prints the bits of losses and gradients: one instruction set gives the same, whatever flags this file was compiled with.
#include <limbeck/limbeck.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

namespace lk = limbeck;

namespace {

template <class T>
void print(std::size_t samples, std::size_t classes) {
  std::mt19937 random(1);
  std::vector<T> student(samples * classes), teacher(student), gradient(student);
  for (T& x : student) x = static_cast<T>(static_cast<int>(random() % 2000) - 1000) / T(200);
  for (T& x : teacher) x = static_cast<T>(static_cast<int>(random() % 2000) - 1000) / T(200);
  std::vector<int> labels(samples);
  for (int& y : labels) y = static_cast<int>(random() % classes);
  const auto objective = lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{} + 0.5 * lk::jensen_shannon{}) +
                         lk::of_teacher(lk::confidence{}) * lk::reverse_kl{};
  const auto e = objective(lk::rows<const T>(student.data(), samples, classes), lk::rows<const T>(teacher.data(), samples, classes),
                           labels, lk::into(lk::rows<T>(gradient.data(), samples, classes)));
  std::vector<unsigned char> bytes(sizeof e.loss + gradient.size() * sizeof(T));
  std::memcpy(bytes.data(), &e.loss, sizeof e.loss);
  std::memcpy(bytes.data() + sizeof e.loss, gradient.data(), gradient.size() * sizeof(T));
  std::uint64_t sum = 14695981039346656037U;  // FNV-1a
  for (const unsigned char b : bytes) sum = (sum ^ b) * 1099511628211U;
  std::printf("%zu x %zu of %zu bits: %.17g %016llx\n", samples, classes, 8 * sizeof(T), e.loss,
              static_cast<unsigned long long>(sum));
}

}  // namespace

int main() {
  print<float>(20, 1000);
  print<float>(100, 100);
  print<float>(3, 32003);
  print<double>(20, 1000);
  print<double>(50, 10);
}
