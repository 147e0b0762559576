// expect: limbeck: this is a view of somebody else's memory; to_dlpack(view, owner) says who keeps it alive
#include <limbeck/dlpack.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  std::vector<float> numbers(6);
#ifndef LIMBECK_CONTROL
  return lk::to_dlpack(lk::rows<float>(numbers.data(), 2, 3)) != nullptr;
#else
  return lk::to_dlpack(std::move(numbers)) != nullptr;
#endif
}
