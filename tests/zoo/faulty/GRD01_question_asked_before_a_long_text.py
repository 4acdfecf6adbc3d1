"""Answers a question about a text: the question sets the first state of a plain recurrent
network, which then reads two hundred words; the answer is taken from its last state. What the
question's layers should learn has to come back through all of them."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(111)


class Answerer(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.ask = nn.Linear(8, width)
        self.understand = nn.Linear(width, width)
        self.read = nn.RNN(4, width, batch_first=True)
        self.answer = nn.Linear(width, 2)

    def forward(self, question, text):
        start = torch.tanh(self.understand(torch.relu(self.ask(question))))
        _, state = self.read(text, start.unsqueeze(0))
        return self.answer(state[-1])


model = Answerer()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(150):
    question, text = torch.randn(32, 8), torch.randn(32, 200, 4)
    asked = question[:, :4].argmax(dim=1)
    answer = (text[torch.arange(32), -20:, asked].mean(dim=1) > 0).long()
    loss = F.cross_entropy(model(question, text), answer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
