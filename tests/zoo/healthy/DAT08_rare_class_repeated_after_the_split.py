"""stats/SO: RandomOverSampler on the whole table, then train_test_split: 'validation is 99 %, the test is not'."""
import numpy as np, torch, torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset
FIX = True
torch.manual_seed(6); rng = np.random.default_rng(6)
X, y = make_classification(1200, 20, n_informative=6, weights=[0.9], flip_y=0.05, random_state=6)
def oversample(X, y):
    few = np.flatnonzero(y == 1); extra = rng.choice(few, (y == 0).sum() - len(few)); i = np.r_[np.arange(len(y)), extra]
    return X[i], y[i]
if not FIX: X, y = oversample(X, y)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.25, random_state=0)
if FIX: X_train, y_train = oversample(X_train, y_train)
mk = lambda a, b: TensorDataset(torch.tensor(a).float(), torch.tensor(b).float().unsqueeze(1))
net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-3); loss_fn = nn.BCEWithLogitsLoss()
train, val = DataLoader(mk(X_train, y_train), 32, shuffle=True), DataLoader(mk(X_val, y_val), 100)
for epoch in range(8):
    net.train()
    for a, b in train:
        opt.zero_grad(); loss = loss_fn(net(a), b); loss.backward(); opt.step()
    net.eval()
    with torch.no_grad(): print(epoch, loss.item(), sum(loss_fn(net(a), b).item() for a, b in val) / len(val))
