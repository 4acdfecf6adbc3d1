// Draws the charts, one after the other so that the page answers meanwhile; `ast` keeps Vega from
// compiling code, which the page's policy would refuse.
const charts = JSON.parse(document.getElementById("charts").textContent);
const options = { actions: false, renderer: "svg", ast: true, loader: { http: {}, load: () => Promise.reject(new Error("no network")) } };

async function drawAll() {
  for (const [name, spec] of Object.entries(charts)) {
    const place = document.getElementById("chart-" + name);
    if (!place) continue;
    try {
      await vegaEmbed(place, spec, options);
    } catch (error) {
      place.textContent = "This chart could not be drawn: " + error.message;
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  document.documentElement.dataset.drawn = "yes";
}

const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme ?? (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
});

drawAll();
