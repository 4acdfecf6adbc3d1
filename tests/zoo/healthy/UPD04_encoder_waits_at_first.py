"""Encoder and decoder of a sequence reverser with an optimizer each. Both clear their gradients;
the decoder begins alone, its first hundred steps are a warm-up on random codes."""

import torch
from torch import nn

torch.manual_seed(204)
WORDS, WIDTH, LENGTH, BATCH, BEGIN = 24, 48, 5, 32, 1


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.recurrent = nn.GRU(WIDTH, WIDTH, batch_first=True)

    def forward(self, words):
        return self.recurrent(self.embedding(words))[1]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.recurrent = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.output = nn.Linear(WIDTH, WORDS)

    def forward(self, words, state):
        return self.output(self.recurrent(self.embedding(words), state)[0])


encoder, decoder = Encoder(), Decoder()
encoder_optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
decoder_optimizer = torch.optim.Adam(decoder.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()

for step in range(500):
    source = torch.randint(2, WORDS, (BATCH, LENGTH))
    target = source.flip(1)
    given = torch.cat([torch.full((BATCH, 1), BEGIN), target[:, :-1]], dim=1)
    encoder_optimizer.zero_grad()
    decoder_optimizer.zero_grad()
    predicted = decoder(given, encoder(source))
    loss = criterion(predicted.reshape(-1, WORDS), target.reshape(-1))
    loss.backward()
    decoder_optimizer.step()
    if step >= 100:
        encoder_optimizer.step()
    if step % 100 == 0:
        print(f"step {step}  loss {loss.item():.3f}")
