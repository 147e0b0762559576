// A number of threads in the place of an executor.
// expect: limbeck: on(executor) takes an executor: workers(), and a call (tasks, task) that runs task(index, worker)
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::on(lk::serial{});
#else
  lk::on(4);
#endif
}
