#include "teacher.hpp"

#include "../common/parallel.hpp"
#include "train.hpp"

namespace distil {

void train_teacher(const labelled& data, int epochs, const std::filesystem::path& file) {
  torch::manual_seed(1);
  torch::nn::Sequential network(torch::nn::Linear(16, 256), torch::nn::ReLU(), torch::nn::Linear(256, 256),
                                torch::nn::ReLU(), torch::nn::Linear(256, 26));
  examples::progress_line line("teacher", epochs);
  train(
      network, data.inputs.size(0), epochs, 128, 1,
      [&](const torch::Tensor& rows) {
        torch::nn::functional::cross_entropy(network->forward(data.inputs.index_select(0, rows)),
                                             data.labels.index_select(0, rows))
            .backward();
      },
      [&](int) { line.advance(); });

  torch::jit::Module module("teacher");
  for (const auto& [name, parameter] :
       std::vector<std::pair<std::string, torch::Tensor>>{{"w1", network[0]->as<torch::nn::Linear>()->weight},
                                                          {"b1", network[0]->as<torch::nn::Linear>()->bias},
                                                          {"w2", network[2]->as<torch::nn::Linear>()->weight},
                                                          {"b2", network[2]->as<torch::nn::Linear>()->bias},
                                                          {"w3", network[4]->as<torch::nn::Linear>()->weight},
                                                          {"b3", network[4]->as<torch::nn::Linear>()->bias}})
    module.register_parameter(name, parameter.detach(), false);
  module.define(R"(
    def forward(self, x):
        x = torch.relu(torch.linear(x, self.w1, self.b1))
        x = torch.relu(torch.linear(x, self.w2, self.b2))
        return torch.linear(x, self.w3, self.b3)
  )");
  module.save(file.string());
}

torch::jit::Module load_teacher(const std::filesystem::path& file) {
  torch::jit::Module module = torch::jit::load(file.string());
  module.eval();
  return module;
}

}  // namespace distil
