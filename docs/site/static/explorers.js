// Every explorer's states were drawn when the site was built; the controls choose among them.
for (const explorer of document.querySelectorAll(".explorer")) {
  const { sizes, sentences } = JSON.parse(explorer.querySelector("script").textContent);
  const controls = [...explorer.querySelectorAll("select, input")];
  const [image, sentence] = [explorer.querySelector("img"), explorer.querySelector("p")];
  const [folder] = image.getAttribute("src").match(/.*\//);
  const loaded = new Map();

  const state = (places) => places.reduce((total, place, i) => total * sizes[i] + place, 0);
  const load = (number) => {
    if (!loaded.has(number)) {
      const picture = new Image();
      picture.src = `${folder}${number}.webp`;
      loaded.set(number, picture.decode().then(() => picture));
    }
    return loaded.get(number);
  };
  const places = () => controls.map((control) => Number(control.value));
  // All that one move of one control leads to, so that the next picture is there when asked for.
  const ahead = () => {
    const now = places();
    sizes.forEach((size, i) => {
      for (let k = 0; k < size; k += 1) load(state(now.with(i, k)));
    });
  };
  const show = () => {
    const number = state(places());
    for (const slider of explorer.querySelectorAll("input")) {
      const label = slider.dataset.labels.split("|")[slider.value];
      slider.setAttribute("aria-valuetext", label);
      slider.nextElementSibling.value = label;
    }
    sentence.textContent = image.alt = sentences[number];
    load(number).then((picture) => {
      if (number === state(places())) image.src = picture.src;
    });
  };
  explorer.loaded = () => Promise.all(loaded.values());
  for (const control of controls) {
    control.addEventListener("input", show);
    control.addEventListener("change", ahead);
    control.addEventListener("pointerenter", ahead);
    control.addEventListener("focus", ahead);
  }
  show(); // a browser may have kept the controls where they were
}

// What scrolls sideways can be reached by keyboard; the theme sees to its tables only after a while.
const SCROLLING = "mjx-container[display], .scroll, pre, .pst-scrollable-table-container";
const reach = () => {
  for (const part of document.querySelectorAll(SCROLLING)) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
  }
};
addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(reach));
addEventListener("resize", reach);
addEventListener("toggle", reach, true); // an answer that was folded
